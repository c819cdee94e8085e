//! The books as people read them.

use super::Ledger;

impl Ledger {
    /// Every job and every balance, as a table.
    ///
    /// # Errors
    /// The chain can't be read.
    pub async fn table(&self) -> anyhow::Result<String> {
        let mut lines = vec![format!(
            "{:<12} {:<10} {:<10} {:<10} {:>20} {:>20} {:>12}",
            "job", "client", "provider", "status", "escrow", "paid", "slashed"
        )];
        for job in self.jobs().await? {
            let short = |text: String| text.chars().take(10).collect::<String>();
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
        for (holder, balance) in self.balances().await? {
            let name = self.name(holder);
            lines.push(format!("{holder} {name:<10} {:>30} PLUR", balance.plur()));
        }
        Ok(lines.join("\n"))
    }

    fn name(&self, holder: t4t_types::Address) -> &'static str {
        match holder {
            _ if holder == self.contracts.escrow => "escrow",
            _ if holder == self.contracts.registry => "registry",
            _ if holder == super::burn_address() => "burned",
            _ if self.buyers.iter().any(|(wallet, _)| *wallet == holder) => "buyer",
            _ if self.sellers.iter().any(|(wallet, _)| *wallet == holder) => "seller",
            _ => "",
        }
    }
}
