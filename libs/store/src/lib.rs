//! SQLite: migrations and one module a table; the only SQL in the house.
