//! A column of whole numbers, in four bytes each where they lie close together.

/// Numbers that are collected, then packed, then looked at.
#[derive(Default)]
pub(crate) struct Numbers {
    least: i64,
    /// What each of the packed ones is above the least one.
    packed: Vec<u32>,
    /// Those behind them.
    loose: Vec<i64>,
}

impl Numbers {
    pub(crate) fn is_empty(&self) -> bool {
        self.packed.is_empty() && self.loose.is_empty()
    }

    pub(crate) fn at(&self, index: usize) -> i64 {
        match self.packed.get(index) {
            Some(above) => self.least + i64::from(*above),
            None => self.loose[index - self.packed.len()],
        }
    }

    pub(crate) fn push(&mut self, value: i64) {
        self.loose.push(value);
    }

    /// Adds so many zeros.
    pub(crate) fn push_zeros(&mut self, count: usize) {
        self.loose.resize(self.loose.len() + count, 0);
    }

    /// Takes half the memory from here on, if the numbers allow it; packs once.
    pub(crate) fn pack(&mut self) {
        self.loose.shrink_to_fit();
        let (least, most) = (self.loose.iter().min().copied(), self.loose.iter().max().copied());
        let Some((least, most)) = least.zip(most).filter(|_| self.packed.is_empty()) else { return };
        if most.checked_sub(least).is_some_and(|range| u32::try_from(range).is_ok()) {
            self.least = least;
            self.packed = self.loose.iter().map(|value| (value - least) as u32).collect();
            self.loose = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_numbers_are_the_same_and_can_be_added_to() {
        let span = i64::from(u32::MAX);
        for values in [
            vec![],
            vec![7],
            vec![-5, span - 5, 0],
            vec![-5, span - 4],
            vec![i64::MIN, i64::MAX],
            vec![i64::MAX - 1; 3],
        ] {
            let mut numbers = Numbers::default();
            values.iter().for_each(|value| numbers.push(*value));
            numbers.pack();
            let packed = !numbers.packed.is_empty();
            assert_eq!(packed, !values.is_empty() && values != [-5, span - 4] && values != [i64::MIN, i64::MAX]);
            let all = |numbers: &Numbers| (0..values.len()).map(|at| numbers.at(at)).collect::<Vec<_>>();
            assert_eq!((all(&numbers), numbers.is_empty()), (values.clone(), values.is_empty()));
            numbers.push_zeros(2);
            numbers.push(3);
            assert_eq!(all(&numbers), values);
            assert_eq!([0, 1, 2].map(|at| numbers.at(values.len() + at)), [0, 0, 3]);
        }
    }
}
