//! Matrices as views of flat slices.

/// A matrix of `rows` x `cols` in row-major order, whose rows start `stride` apart.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    pub(super) data: &'a [f32],
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) stride: usize,
}

/// A [`Matrix`] to write to.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    pub(super) data: &'a mut [f32],
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) stride: usize,
}

/// Elements that a matrix of these sizes spans.
fn span(rows: usize, cols: usize, stride: usize) -> usize {
    assert!(stride >= cols, "rows of {cols} elements cannot start {stride} apart");
    if rows == 0 { 0 } else { (rows - 1) * stride + cols }
}

impl<'a> Matrix<'a> {
    /// The rows of `data`, one after the other.
    ///
    /// # Panics
    /// If `data.len()` is not `rows * cols`.
    #[inline]
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(data.len(), rows * cols, "a matrix [{rows}, {cols}] from a slice of {} elements", data.len());
        Self { data, rows, cols, stride: cols }
    }
    /// Rows that start `stride` elements apart.
    ///
    /// # Panics
    /// If `stride < cols`, or `data` is shorter than the rows.
    #[inline]
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> Self {
        let need = span(rows, cols, stride);
        assert!(data.len() >= need, "[{rows}, {cols}] with stride {stride} needs {need} elements, not {}", data.len());
        Self { data, rows, cols, stride }
    }
    /// Number of rows.
    #[inline]
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Number of columns.
    #[inline]
    pub fn cols(&self) -> usize {
        self.cols
    }
    /// Row `i`.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    pub fn row(&self, i: usize) -> &'a [f32] {
        assert!(i < self.rows);
        &self.data[i * self.stride..][..self.cols]
    }
}

impl<'a> MatrixMut<'a> {
    /// As [`Matrix::new`].
    ///
    /// # Panics
    /// If `data.len()` is not `rows * cols`.
    #[inline]
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(data.len(), rows * cols, "a matrix [{rows}, {cols}] from a slice of {} elements", data.len());
        Self { data, rows, cols, stride: cols }
    }
    /// As [`Matrix::strided`].
    ///
    /// # Panics
    /// If `stride < cols`, or `data` is shorter than the rows.
    #[inline]
    pub fn strided(data: &'a mut [f32], rows: usize, cols: usize, stride: usize) -> Self {
        let need = span(rows, cols, stride);
        assert!(data.len() >= need, "[{rows}, {cols}] with stride {stride} needs {need} elements, not {}", data.len());
        Self { data, rows, cols, stride }
    }
    /// Number of rows.
    #[inline]
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Number of columns.
    #[inline]
    pub fn cols(&self) -> usize {
        self.cols
    }
    /// Row `i`.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    pub fn row_mut(&mut self, i: usize) -> &mut [f32] {
        assert!(i < self.rows);
        &mut self.data[i * self.stride..][..self.cols]
    }
}
