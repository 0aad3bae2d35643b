//! The zero-dependency scorer: the model file, encoding a user, scores, top-k.
