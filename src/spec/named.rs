//! Enums that have one name for people (command line, TOML) and one number for the model file.

use std::error::Error;
use std::fmt;

/// A name that is none of the names of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownName {
    /// The setting, for example `variant`.
    pub setting: &'static str,
    /// What was given.
    pub found: String,
    /// The names that exist.
    pub allowed: &'static [&'static str],
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {:?} does not exist; choose one of: {}", self.setting, self.found, self.allowed.join(", "))
    }
}

impl Error for UnknownName {}

/// Writes the enum, its names and its file codes from one list.
///
/// The serde names (feature `train`) are the kebab-case forms of the variants; a test holds them equal to the names
/// given here.
macro_rules! named_enum {
    (
        $(#[$meta:meta])*
        $name:ident as $setting:literal {
            $($(#[$variant_meta:meta])* $variant:ident = $code:literal, $text:literal;)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "train", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "train", serde(rename_all = "kebab-case"))]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $name {
            /// The name of the setting itself.
            pub const SETTING: &'static str = $setting;
            /// Every value, in the order of [`Self::NAMES`].
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The names that `FromStr` takes.
            pub const NAMES: &'static [&'static str] = &[$($text),+];

            /// The name as users write it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The number in a model file.
            pub(crate) const fn code(self) -> u32 {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The value behind a number from a model file.
            pub(crate) const fn from_code(code: u32) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::spec::UnknownName;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(crate::spec::UnknownName {
                        setting: Self::SETTING,
                        found: text.to_owned(),
                        allowed: Self::NAMES,
                    }),
                }
            }
        }
    };
}

pub(crate) use named_enum;
