//! Which instructions the kernels run on: detected once, or forced by `DMRAN_SIMD`.

use crate::simd::{Kernel, Simd, portable::Portable};
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

#[cfg(target_arch = "aarch64")]
use crate::simd::neon::Neon;
#[cfg(target_arch = "x86_64")]
use crate::simd::{avx2::Avx2, avx512::Avx512};

/// The environment variable that forces a level: `portable`, `neon`, `avx2`, `avx512` or `auto`.
pub const LEVEL_VARIABLE: &str = "DMRAN_SIMD";

/// A tier of instructions, from the slowest to the fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// No instructions beyond what the build was compiled for; products and sums are rounded separately.
    Portable,
    /// 64-bit ARM.
    Neon,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 F, VL, DQ and BW.
    Avx512,
}

/// Why a level could not be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LevelError {
    /// The name is none of `portable`, `neon`, `avx2`, `avx512`, `auto`.
    Unknown {
        /// The name as given.
        name: String,
    },
    /// This CPU (or this build's architecture) lacks the level.
    Unavailable {
        /// The level asked for.
        level: Level,
    },
}

impl fmt::Display for LevelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name } => {
                write!(f, "unknown SIMD level {name:?}: expected portable, neon, avx2, avx512 or auto")
            }
            Self::Unavailable { level } => {
                write!(f, "this CPU has no {level}; available:")?;
                Level::available().iter().try_for_each(|l| write!(f, " {l}"))
            }
        }
    }
}

impl std::error::Error for LevelError {}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Portable => "portable",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        })
    }
}

impl FromStr for Level {
    type Err = LevelError;
    /// Reads a level's name, whether or not this CPU has it; `auto` is [`Level::best`]. Case does not matter.
    fn from_str(name: &str) -> Result<Self, LevelError> {
        match name.trim().to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::best()),
            "portable" => Ok(Self::Portable),
            "neon" => Ok(Self::Neon),
            "avx2" => Ok(Self::Avx2),
            "avx512" => Ok(Self::Avx512),
            _ => Err(LevelError::Unknown { name: name.to_owned() }),
        }
    }
}

impl Level {
    /// The levels of this CPU, slowest first; [`Level::Portable`] is always among them.
    pub fn available() -> &'static [Self] {
        static AVAILABLE: OnceLock<Vec<Level>> = OnceLock::new();
        AVAILABLE.get_or_init(|| {
            [Self::Portable, Self::Neon, Self::Avx2, Self::Avx512].into_iter().filter(|l| l.is_available()).collect()
        })
    }

    /// Whether this CPU has the level.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => Neon::new().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::new().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Avx512::new().is_some(),
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }

    /// The fastest level of this CPU.
    pub fn best() -> Self {
        Self::available().last().copied().unwrap_or(Self::Portable)
    }

    /// The level that `DMRAN_SIMD` asks for; [`Level::best`] if it is unset, empty or `auto`.
    ///
    /// # Errors
    /// [`LevelError::Unknown`] for a name that is no level (or is not Unicode), [`LevelError::Unavailable`] for a level
    /// that this CPU lacks.
    pub fn from_env() -> Result<Self, LevelError> {
        match std::env::var(LEVEL_VARIABLE) {
            Ok(name) if name.trim().is_empty() => Ok(Self::best()),
            Ok(name) => Self::require(&name),
            Err(std::env::VarError::NotPresent) => Ok(Self::best()),
            Err(std::env::VarError::NotUnicode(name)) => {
                Err(LevelError::Unknown { name: name.to_string_lossy().into_owned() })
            }
        }
    }

    /// The level called `name`, if this CPU has it.
    ///
    /// # Errors
    /// As [`Level::from_env`].
    pub fn require(name: &str) -> Result<Self, LevelError> {
        let level: Self = name.parse()?;
        if level.is_available() { Ok(level) } else { Err(LevelError::Unavailable { level }) }
    }

    /// The level of this process, decided at the first call: [`Level::from_env`], or [`Level::best`] where that fails.
    pub fn current() -> Self {
        static CURRENT: OnceLock<Level> = OnceLock::new();
        *CURRENT.get_or_init(|| Self::from_env().unwrap_or_else(|_| Self::best()))
    }

    /// Runs `kernel` compiled for this level.
    ///
    /// # Panics
    /// If this CPU lacks the level ([`Level::is_available`]).
    #[inline]
    pub fn dispatch<K: Kernel>(self, kernel: K) -> K::Output {
        // Detection is cached by the standard library: a token costs a load and a test.
        match self {
            Self::Portable => return Portable.call(kernel),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => {
                if let Some(s) = Neon::new() {
                    return s.call(kernel);
                }
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                if let Some(s) = Avx2::new() {
                    return s.call(kernel);
                }
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                if let Some(s) = Avx512::new() {
                    return s.call(kernel);
                }
            }
            #[allow(unreachable_patterns)]
            _ => {}
        }
        panic!("{}", LevelError::Unavailable { level: self })
    }
}
