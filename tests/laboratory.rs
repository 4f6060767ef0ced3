//! The laboratory: what it makes of what it has measured.

mod report;
mod synthetic;
