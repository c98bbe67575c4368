//! All integration tests, one binary: openraft is monomorphised once.
