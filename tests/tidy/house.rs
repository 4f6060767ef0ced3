//! Rules about what lies where, and about what the papers say of it.
