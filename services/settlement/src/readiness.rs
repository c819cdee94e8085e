//! Whether the wallet can pay, on the process's board.

use std::sync::Arc;
use std::time::Duration;

use t4t_api::Settlement;
use t4t_api::settlement::{Account, GetAccount};
use t4t_clock::SharedClock;
use t4t_runtime::health::Component;

/// How often the wallet is looked at.
const PAUSE: Duration = Duration::from_secs(20);

/// How often it is looked at while something is missing.
const SHORT_PAUSE: Duration = Duration::from_secs(3);

/// Gas that a transaction of the market is reckoned with.
const TRANSACTION_GAS: u128 = 250_000;

/// With gas for fewer transactions than this, a job that is begun may not be brought to its end.
const LEAST: u128 = 4;

/// With gas for fewer transactions than this, it is time to think of more.
const FEW: u128 = 100;

const SEND_XDAI: &str = "send xDAI to it on Gnosis Chain";

/// Says while the wallet is too empty, and before it is; for as long as the process lives. With `needs_xbzz` it has to
/// have something to pay with: a provider needs that for its stake alone.
pub async fn watch_wallet(
    settlement: Arc<dyn Settlement>,
    clock: SharedClock,
    component: Component,
    needs_xbzz: bool,
) {
    loop {
        let all_is_well = match settlement.ask(GetAccount {}).await {
            Ok(account) => tell(&account, &component, needs_xbzz),
            Err(error) => {
                component.not_ready(error.to_string(), "check GNOSIS_RPC_URL");
                false
            }
        };
        clock.sleep(if all_is_well { PAUSE } else { SHORT_PAUSE }).await;
    }
}

fn tell(account: &Account, component: &Component, needs_xbzz: bool) -> bool {
    let wallet = account.address;
    let transactions = account.xdai_wei / account.max_fee_wei.saturating_mul(TRANSACTION_GAS).max(1);
    match () {
        () if account.xdai_wei == 0 => {
            component.not_ready(format!("the wallet {wallet} holds no xDAI for gas"), SEND_XDAI);
        }
        () if transactions < LEAST => {
            component.not_ready(format!("the wallet {wallet} has too little xDAI for gas"), SEND_XDAI);
        }
        () if needs_xbzz && account.xbzz.is_zero() => component.not_ready(
            format!("the wallet {wallet} holds no xBZZ for payments"),
            "send xBZZ to it on Gnosis Chain",
        ),
        () if transactions < FEW => component.ready_but(
            format!("the wallet {wallet} has gas for about {transactions} transactions"),
            SEND_XDAI,
        ),
        () => {
            component.ready();
            return true;
        }
    }
    false
}
