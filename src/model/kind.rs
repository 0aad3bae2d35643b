//! The models by name: what `train.model` and `--model` take.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A model that can be trained and measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// This project's model; its ablations are [`Variant`](crate::scorer::Variant)s of it.
    #[default]
    Dmran,
    /// Matrix factorisation, trained pairwise.
    BprMf,
    /// A recurrent network in both directions.
    BiLstm,
    /// The same, with attention of the candidate.
    BiLstmAttention,
    /// Convolutions over the history, maximum over time.
    CnnPooling,
    /// One block of self-attention, one of the candidate's attention.
    Atrank,
    /// Causal self-attention, every event a target. Not one of the paper's rivals: what is used most today.
    Sasrec,
    /// Every item by how often it occurs: nothing is trained.
    MostPopular,
}

impl Kind {
    /// All of them: DMRAN first, then as the paper's Table 2 has them, then what it does not have.
    pub const ALL: [Kind; 8] = [
        Kind::Dmran,
        Kind::BprMf,
        Kind::BiLstm,
        Kind::BiLstmAttention,
        Kind::CnnPooling,
        Kind::Atrank,
        Kind::Sasrec,
        Kind::MostPopular,
    ];

    /// The name on the command line and in TOML; [`build`](super::build()) knows it, except for "most-popular".
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Dmran => "dmran",
            Kind::BprMf => "bpr-mf",
            Kind::BiLstm => "bi-lstm",
            Kind::BiLstmAttention => "bi-lstm-attention",
            Kind::CnnPooling => "cnn-pooling",
            Kind::Atrank => "atrank",
            Kind::Sasrec => "sasrec",
            Kind::MostPopular => "most-popular",
        }
    }

    /// The name in tables.
    pub const fn title(self) -> &'static str {
        match self {
            Kind::Dmran => "DMRAN",
            Kind::BprMf => "BPR-MF",
            Kind::BiLstm => "Bi-LSTM",
            Kind::BiLstmAttention => "Bi-LSTM+Attention",
            Kind::CnnPooling => "CNN+Pooling",
            Kind::Atrank => "ATRank",
            Kind::Sasrec => "SASRec",
            Kind::MostPopular => "most popular",
        }
    }

    /// Whether there are weights to learn.
    pub const fn is_trained(self) -> bool {
        !matches!(self, Kind::MostPopular)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_toml_and_of_build() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
            assert_eq!(super::super::NAMES.contains(&kind.name()), kind.is_trained());
        }
        assert_eq!(super::super::NAMES.len() + 1, Kind::ALL.len());
    }
}
