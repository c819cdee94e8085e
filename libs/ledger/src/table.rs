//! The books as people read them.

use t4t_types::Address;

use crate::{Books, Ledger, LedgerError};

impl Ledger {
    /// Every job and every balance, as a table.
    ///
    /// # Errors
    /// The chain can't be read.
    pub async fn table(&self) -> Result<String, LedgerError> {
        Ok(self.table_of(&self.books().await?))
    }

    /// These jobs and balances, as a table.
    pub fn table_of(&self, books: &Books) -> String {
        let mut lines = vec![format!(
            "{:<12} {:<10} {:<10} {:<10} {:>20} {:>20} {:>12}",
            "job", "client", "provider", "status", "escrow", "paid", "slashed"
        )];
        let short = |text: String| text.chars().take(10).collect::<String>();
        for job in &books.jobs {
            lines.push(format!(
                "{:<12} {:<10} {:<10} {:<10} {:>20} {:>20} {:>12}",
                short(job.job.to_string()),
                short(job.client.to_string()),
                short(job.provider.to_string()),
                format!("{:?}", job.status),
                job.max_payment.plur(),
                job.paid.plur(),
                job.slashed.plur()
            ));
        }
        for (holder, balance) in &books.balances {
            let name = self.name(*holder);
            lines.push(format!("{holder} {name:<10} {:>30} PLUR", balance.plur()));
        }
        lines.join("\n")
    }

    /// Who an address is, in a word; empty for a stranger.
    pub fn name(&self, holder: Address) -> &'static str {
        match holder {
            _ if holder == self.contracts.escrow => "escrow",
            _ if holder == self.contracts.registry => "registry",
            _ if holder == crate::burn_address() => "burned",
            _ if self.buyers.iter().any(|(wallet, _)| *wallet == holder) => "buyer",
            _ if self.sellers.iter().any(|(wallet, _)| *wallet == holder) => "seller",
            _ => "",
        }
    }
}
