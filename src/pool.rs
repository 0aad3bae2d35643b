//! Buffers that threads lend from each other.

use std::sync::Mutex;

/// Things that are lent out, one to each thread that asks; made where there are not enough.
#[derive(Debug)]
pub(crate) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool(Mutex::new(Vec::new()))
    }
}

impl<T> Pool<T> {
    /// Runs `work` with something from the pool, or with what `make` gives.
    pub fn with<R>(&self, make: impl FnOnce() -> T, work: impl FnOnce(&mut T) -> R) -> R {
        let lent = self.lock().pop();
        let mut lent = lent.unwrap_or_else(make);
        let result = work(&mut lent);
        self.lock().push(lent);
        result
    }

    /// Makes sure that so many threads find something, each put into shape by `fit`, so that lending makes nothing new.
    #[cfg(feature = "train")]
    pub fn fill(&self, threads: usize, make: impl Fn() -> T, fit: impl FnMut(&mut T)) {
        let mut there = self.lock();
        let more = threads.saturating_sub(there.len());
        there.extend((0..more).map(|_| make()));
        there.iter_mut().for_each(fit);
    }

    /// What the things that are not lent come to.
    #[cfg(feature = "train")]
    pub fn sum(&self, of: impl Fn(&T) -> usize) -> usize {
        self.lock().iter().map(of).sum()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<T>> {
        // A panic elsewhere leaves the list itself whole.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
