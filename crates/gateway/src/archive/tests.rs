//! Recording real media into a directory, and what is left of it when things go wrong.
