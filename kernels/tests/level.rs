//! Names, detection and refusal of levels.

use dmran_kernels::simd::{Kernel, Simd};
use dmran_kernels::{Level, LevelError};

struct Which;

impl Kernel for Which {
    type Output = Level;
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> Level {
        S::LEVEL
    }
}

const ALL: [Level; 4] = [Level::Portable, Level::Neon, Level::Avx2, Level::Avx512];

#[test]
fn names_round_trip() {
    for level in ALL {
        assert_eq!(level.to_string().parse(), Ok(level));
        assert_eq!(level.to_string().to_uppercase().parse(), Ok(level));
    }
    assert_eq!("auto".parse(), Ok(Level::best()));
    assert_eq!("sse9".parse::<Level>(), Err(LevelError::Unknown { name: "sse9".into() }));
    assert!(LevelError::Unknown { name: "sse9".into() }.to_string().contains("sse9"));
}

#[test]
fn dispatch_runs_what_was_asked_for_or_refuses() {
    assert!(Level::available().contains(&Level::Portable));
    for level in ALL {
        if Level::available().contains(&level) {
            assert_eq!(level.dispatch(Which), level);
            assert_eq!(Level::require(&level.to_string()), Ok(level));
        } else {
            let error = Level::require(&level.to_string()).unwrap_err();
            assert_eq!(error, LevelError::Unavailable { level });
            assert!(error.to_string().contains(&level.to_string()));
            assert!(std::panic::catch_unwind(|| level.dispatch(Which)).is_err());
        }
    }
}

/// Fails where `DMRAN_SIMD` is set to a level that this CPU lacks: a run of all tests under it then proves nothing.
#[test]
fn current_is_what_the_environment_asks_for() {
    println!("levels: {:?}", Level::available());
    assert!(Level::current().is_available());
    assert_eq!(Level::from_env(), Ok(Level::current()));
}
