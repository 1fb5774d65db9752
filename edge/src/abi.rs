//! How a wasm host hands bytes over and takes them back: three exported functions over the module's own memory. It must never
//! interpret the bytes.
//!
//! The host asks [`luopan_alloc`] for room, writes the request there, calls [`luopan_call`], reads the answer from where the
//! result points (the memory may have grown: look at it anew), and gives both back with [`luopan_free`]. A trap means a bug:
//! the instance is then thrown away, and nothing is lost, for nothing is kept between calls.
#![allow(
    unsafe_code,
    reason = "a wasm host can hand over nothing but addresses"
)]

use crate::{REQUEST_BYTES_MAX, call};

/// Room for a request of `length` bytes; zero (null) where `length` is over [`REQUEST_BYTES_MAX`].
#[unsafe(no_mangle)]
pub extern "C" fn luopan_alloc(length: usize) -> *mut u8 {
    if length > REQUEST_BYTES_MAX {
        return std::ptr::null_mut();
    }
    Box::into_raw(vec![0_u8; length].into_boxed_slice()).cast()
}

/// Gives back what [`luopan_alloc`] or [`luopan_call`] handed out.
///
/// # Safety
/// `address` and `length` are a pair that one of the two returned and that was not given back yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn luopan_free(address: *mut u8, length: usize) {
    // SAFETY: the pair came from `Box::into_raw` of a slice of `length` bytes, and comes back once.
    drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(address, length)) });
}

/// Carries out the request of `length` bytes at `address`. The answer's address is the upper half of the result and its length
/// the lower half.
///
/// # Safety
/// `address` and `length` are a pair that [`luopan_alloc`] returned and that was not given back yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn luopan_call(address: *const u8, length: usize) -> u64 {
    // SAFETY: the pair describes live, initialised bytes of this module that nobody writes during the call.
    let request = unsafe { std::slice::from_raw_parts(address, length) };
    let answer = call(request).into_boxed_slice();
    let length = answer.len() as u64;
    let address = Box::into_raw(answer).cast::<u8>() as usize as u64;
    address << 32 | length
}
