//! `dmran` for Python: what the library does, behind the GIL released. What a user sees is in `python/dmran`; this module is
//! its private half, `dmran._dmran`.
#![deny(unsafe_code)]

mod arrow;
mod errors;
mod fit;
mod histories;
mod model;
mod scorer;
mod settings;
mod source;

use pyo3::prelude::*;

#[pymodule]
mod _dmran {
    #[pymodule_export]
    use crate::arrow::Table;
    #[pymodule_export]
    use crate::fit::{fit, rivals};
    #[pymodule_export]
    use crate::model::Fitted;
    #[pymodule_export]
    use crate::scorer::Scorer;
    #[pymodule_export]
    use crate::settings::{all_settings, check, place};

    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
