//! A seeded population whose hidden response is known to tests and never to the product.
