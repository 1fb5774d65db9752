//! A TCP proxy that cuts, stops and slows the connections that lead through it. It must never change a byte.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Debug, Default)]
struct Shared {
    /// No connection is let in.
    is_cut: AtomicBool,
    /// Bytes wait, connections stay.
    is_stopped: AtomicBool,
    /// Each piece that is read waits so many milliseconds.
    delay_ms: AtomicU64,
    ended: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

/// A way to one server.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    /// A way to the server at this port of this machine.
    #[must_use]
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let own = listener.local_addr().expect("its address").port();
        let shared = Arc::new(Shared::default());
        let taking = Arc::clone(&shared);
        std::thread::spawn(move || {
            for from in listener.incoming() {
                if taking.ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(from) = from else { continue };
                if !taking.is_cut.load(Ordering::SeqCst) {
                    connect(&taking, from, port);
                }
            }
        });
        Self { port: own, shared }
    }

    /// Ends every connection and lets no other in, as a cable that is pulled at a near switch.
    pub fn cut(&self) {
        self.shared.is_cut.store(true, Ordering::SeqCst);
        self.drop_all();
    }

    /// Ends every connection; others are let in.
    pub fn drop_all(&self) {
        for stream in self.shared.open.lock().expect("not poisoned").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Bytes go nowhere, and nobody is told, as behind a firewall that forgot.
    pub fn stop(&self) {
        self.shared.is_stopped.store(true, Ordering::SeqCst);
    }

    /// Each piece takes so much longer, either way.
    pub fn slow(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.shared.delay_ms.store(ms, Ordering::SeqCst);
    }

    /// Everything is as it was.
    pub fn mend(&self) {
        self.shared.is_cut.store(false, Ordering::SeqCst);
        self.shared.is_stopped.store(false, Ordering::SeqCst);
        self.shared.delay_ms.store(0, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.cut();
        // So that the listening thread looks.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn connect(shared: &Arc<Shared>, from: TcpStream, port: u16) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(to) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else {
        // Dropping it tells the caller that nobody is there.
        return;
    };
    for stream in [&from, &to] {
        let _ = stream.set_nodelay(true);
        if let Ok(kept) = stream.try_clone() {
            shared.open.lock().expect("not poisoned").push(kept);
        }
    }
    for (a, b) in [(&from, &to), (&to, &from)] {
        if let (Ok(a), Ok(b)) = (a.try_clone(), b.try_clone()) {
            let shared = Arc::clone(shared);
            std::thread::spawn(move || carry(&shared, a, b));
        }
    }
}

fn carry(shared: &Shared, mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 64 << 10];
    while let Ok(n) = from.read(&mut bytes)
        && n > 0
    {
        let ms = shared.delay_ms.load(Ordering::SeqCst);
        if ms > 0 {
            std::thread::sleep(Duration::from_millis(ms));
        }
        while shared.is_stopped.load(Ordering::SeqCst) && !shared.ended.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if to.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_pass_until_the_way_is_cut_and_again_when_it_is_mended() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = server.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            for stream in server.incoming().flatten() {
                std::thread::spawn(move || {
                    let (mut stream, mut byte) = (stream, [0]);
                    while stream.read_exact(&mut byte).is_ok() {
                        let _ = stream.write_all(&byte);
                    }
                });
            }
        });
        let proxy = Proxy::to(port);
        let open = || TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).expect("the proxy");
        let echo = |stream: &mut TcpStream, byte: u8| {
            let mut back = [0];
            let said = stream
                .write_all(&[byte])
                .and_then(|()| stream.read_exact(&mut back));
            said.map(|()| back[0])
        };
        let mut one = open();
        one.set_read_timeout(Some(Duration::from_millis(300)))
            .expect("a timeout");
        assert_eq!(echo(&mut one, 7).expect("an echo"), 7);
        proxy.stop();
        assert!(echo(&mut one, 8).is_err());
        proxy.mend();
        let mut late = [0];
        one.read_exact(&mut late).expect("it was kept");
        assert_eq!(late, [8]);
        proxy.cut();
        assert!(echo(&mut one, 9).is_err());
        assert!(echo(&mut open(), 9).is_err());
        proxy.mend();
        assert_eq!(echo(&mut open(), 10).expect("an echo"), 10);
    }
}
