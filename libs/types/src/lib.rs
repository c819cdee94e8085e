//! The domain's values: amounts, ids, references, prices and token counts; parsing and arithmetic, no I/O.
