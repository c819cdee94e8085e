//! Domain types to columns and back.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use t4t_types::{Address, ModelId, TokenPrices, Xbzz};

use crate::StoreError;

/// Reads columns of a row as domain types.
pub(crate) trait Columns {
    /// A 32-byte id.
    fn id<T: From<[u8; 32]>>(&self, column: &'static str) -> Result<T, StoreError>;
    /// A 32-byte id that may be absent.
    fn maybe_id<T: From<[u8; 32]>>(&self, column: &'static str) -> Result<Option<T>, StoreError>;
    /// An address.
    fn address(&self, column: &'static str) -> Result<Address, StoreError>;
    /// An amount.
    fn amount(&self, column: &'static str) -> Result<Xbzz, StoreError>;
    /// An amount that may be absent.
    fn maybe_amount(&self, column: &'static str) -> Result<Option<Xbzz>, StoreError>;
    /// A count or time, never negative.
    fn count(&self, column: &'static str) -> Result<u64, StoreError>;
    /// A count that may be absent.
    fn maybe_count(&self, column: &'static str) -> Result<Option<u64>, StoreError>;
    /// A text that parses.
    fn parsed<T: std::str::FromStr>(&self, column: &'static str) -> Result<T, StoreError>;
    /// A model's name.
    fn model(&self, column: &'static str) -> Result<ModelId, StoreError> {
        self.parsed(column)
    }
    /// The two price columns.
    fn prices(&self) -> Result<TokenPrices, StoreError> {
        Ok(TokenPrices { input: self.amount("input_price")?, output: self.amount("output_price")? })
    }
}

fn fixed<const N: usize>(bytes: Vec<u8>, column: &'static str) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Damaged { column })
}

impl Columns for SqliteRow {
    fn id<T: From<[u8; 32]>>(&self, column: &'static str) -> Result<T, StoreError> {
        fixed(self.try_get(column)?, column).map(T::from)
    }

    fn maybe_id<T: From<[u8; 32]>>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        let bytes: Option<Vec<u8>> = self.try_get(column)?;
        bytes.map(|bytes| fixed(bytes, column).map(T::from)).transpose()
    }

    fn address(&self, column: &'static str) -> Result<Address, StoreError> {
        fixed(self.try_get(column)?, column).map(Address::new)
    }

    fn amount(&self, column: &'static str) -> Result<Xbzz, StoreError> {
        fixed(self.try_get(column)?, column).map(Xbzz::from_be_bytes)
    }

    fn maybe_amount(&self, column: &'static str) -> Result<Option<Xbzz>, StoreError> {
        let bytes: Option<Vec<u8>> = self.try_get(column)?;
        bytes.map(|bytes| fixed(bytes, column).map(Xbzz::from_be_bytes)).transpose()
    }

    fn count(&self, column: &'static str) -> Result<u64, StoreError> {
        let number: i64 = self.try_get(column)?;
        number.try_into().map_err(|_| StoreError::Damaged { column })
    }

    fn maybe_count(&self, column: &'static str) -> Result<Option<u64>, StoreError> {
        let number: Option<i64> = self.try_get(column)?;
        number.map(|number| number.try_into().map_err(|_| StoreError::Damaged { column })).transpose()
    }

    fn parsed<T: std::str::FromStr>(&self, column: &'static str) -> Result<T, StoreError> {
        let text: String = self.try_get(column)?;
        text.parse().map_err(|_| StoreError::Damaged { column })
    }
}

/// A count as SQLite takes it; what is above its range (a deadline that somebody put at the end of time) stops there.
pub(crate) fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
