//! Shapes that every endpoint shares: errors, and the list of models.

pub(crate) mod error;
pub(crate) mod model;
