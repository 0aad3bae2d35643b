//! Readers, vocabularies, histories, splits and negatives; knows nothing of models.
