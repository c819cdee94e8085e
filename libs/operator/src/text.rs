//! Ages, moments and coins as people read them.

/// Milliseconds as people say them: `45s`, `3m`, `2h`, `5d`.
pub fn age(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Wei as xDAI, with as many digits as it takes.
pub fn xdai(wei: u128) -> String {
    const XDAI: u128 = 1_000_000_000_000_000_000;
    let text = format!("{}.{:018}", wei / XDAI, wei % XDAI);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Wei as xDAI to the thousandth, which is enough to see whether it will do.
pub fn xdai_rounded(wei: u128) -> String {
    let thousandths = wei / 10u128.pow(15);
    format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
}

/// Milliseconds since 1970 as a date and a time in UTC.
pub fn utc(milliseconds: u64) -> String {
    let (days, time) = (milliseconds / 86_400_000, milliseconds % 86_400_000);
    // Days from 1 March of the year 0 on, in eras of 400 years.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + era * 400 + next;
    let (seconds, millis) = (time / 1000, time % 1000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hours:02}:{minutes:02}:{seconds:02}.{millis:03}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates() {
        let moments = [0, 951_782_400_000, 1_709_164_799_999, 1_795_425_311_042].map(utc);
        let expected = [
            "1970-01-01 00:00:00.000",
            "2000-02-29 00:00:00.000",
            "2024-02-28 23:59:59.999",
            "2026-11-23 09:15:11.042",
        ];
        assert_eq!(moments, expected);
    }

    #[test]
    fn wei_are_told_without_needless_digits() {
        let amounts = [0, 1, 21_000_000_000_000, 3_000_000_000_000_000_000].map(xdai);
        assert_eq!(amounts, ["0", "0.000000000000000001", "0.000021", "3"]);
    }

    #[test]
    fn ages_are_short() {
        let ages = [0, 119_000, 120_000, 7_200_000, 172_800_000].map(age);
        assert_eq!(ages, ["0s", "119s", "2m", "2h", "2d"]);
    }
}
