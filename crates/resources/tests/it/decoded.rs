//! What sound objects say once they are read.
