//! Where a wallet stands with its stake, for people.

use t4t_operator::stake::{Standing, State};
use t4t_terminal::output::Table;

/// All of it.
pub(super) fn lines(standing: &Standing) -> Vec<String> {
    let at_risk = match standing.at_risk {
        Some(amount) if amount.is_zero() => "nothing".to_owned(),
        Some(amount) => format!("{amount} xBZZ, which the open jobs can burn at most"),
        None => "not told by this registry (version 1)".to_owned(),
    };
    let withdrawal = match (standing.state, standing.unbonding_at) {
        (State::Unbonding, Some(at)) => format!("from {} on", standing.moment(at)),
        (State::Unbonded, _) if standing.open_jobs > 0 => "once no job is open".to_owned(),
        (State::Unbonded, _) => "now".to_owned(),
        (State::Active, _) if standing.can_return => "two days after leaving".to_owned(),
        (State::Active, _) => {
            "two days after leaving, which is for ever on this registry (version 1)".to_owned()
        }
        _ => "nothing to withdraw".to_owned(),
    };
    let state = match standing.state {
        State::Unregistered => "not registered",
        State::Active => "active",
        State::Unbonding => "left, the stake is still bound",
        State::Unbonded => "left, the stake is unbonded",
        State::Gone => "left for good, without a stake",
    };
    let mut table = Table::bare();
    table.row(["wallet".into(), standing.wallet.to_string()]);
    table.row(["registry".into(), standing.registry.to_string()]);
    table.row(["state".into(), state.to_owned()]);
    table.row(["stake".into(), format!("{} xBZZ (at least {})", standing.stake, standing.min_stake)]);
    table.row(["at risk".into(), at_risk]);
    table.row(["open jobs".into(), standing.open_jobs.to_string()]);
    table.row(["withdrawal".into(), withdrawal]);
    table.row(["in the wallet".into(), format!("{} xBZZ", standing.in_wallet)]);
    let mut lines = table.lines();
    lines.extend(standing.next_step().map(|step| format!("next: {step}")));
    lines
}

#[cfg(test)]
mod tests {
    use t4t_types::{Address, UnixSeconds, Xbzz};

    use super::*;

    #[test]
    fn leaving_is_said_to_be_for_ever_where_it_is() {
        let says_so = |can_return| {
            let standing = Standing {
                wallet: Address::new([1; 20]),
                registry: Address::new([2; 20]),
                state: State::Active,
                stake: Xbzz::from_whole(110),
                min_stake: Xbzz::from_whole(100),
                at_risk: None,
                open_jobs: 0,
                unbonding_at: None,
                chain_time: UnixSeconds::new(1_795_425_311),
                in_wallet: Xbzz::ZERO,
                can_return,
            };
            lines(&standing).iter().any(|line| line.contains("for ever"))
        };
        assert!(says_so(false) && !says_so(true));
    }
}
