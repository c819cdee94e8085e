//! Erasure coding: how many parity chunks and copies of the root a node adds at each of its levels.

use super::{PAYLOAD_BYTES, SEGMENT_BYTES};

/// References that fit one chunk.
const BRANCHES: usize = PAYLOAD_BYTES / SEGMENT_BYTES;

/// How much of stored content may get lost before it can't be read any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Redundancy {
    /// Nothing: level 0. The only level whose reference can be computed without the parity chunks.
    #[default]
    None,
    /// Level 1: a chunk in a hundred.
    Medium,
    /// Level 2: five in a hundred.
    Strong,
    /// Level 3: ten in a hundred.
    Insane,
    /// Level 4: half.
    Paranoid,
}

/// From how many data chunks on there are how many parity chunks, the largest first: appendix F, table 5 of the Book of
/// Swarm, as the nodes have it.
type Table = &'static [(usize, usize)];

const MEDIUM: Table = &[(94, 9), (68, 8), (46, 7), (28, 6), (14, 5), (5, 4), (1, 3)];
const STRONG: Table = &[
    (104, 21),
    (95, 20),
    (86, 19),
    (77, 18),
    (69, 17),
    (61, 16),
    (53, 15),
    (46, 14),
    (39, 13),
    (32, 12),
    (26, 11),
    (20, 10),
    (15, 9),
    (10, 8),
    (6, 7),
    (3, 6),
    (1, 5),
];
const INSANE: [usize; 26] =
    [1, 2, 3, 5, 8, 10, 13, 16, 19, 22, 26, 29, 33, 37, 41, 45, 50, 54, 59, 63, 68, 73, 77, 82, 87, 92];
const PARANOID: [usize; 37] = [
    20, 24, 27, 30, 32, 35, 37, 39, 41, 44, 46, 48, 49, 51, 53, 55, 57, 59, 60, 62, 64, 66, 67, 69, 71, 72,
    74, 76, 77, 79, 81, 82, 84, 85, 87, 88, 90,
];
/// Parity chunks of the shortest groups at level 3.
const INSANE_LEAST: usize = 6;

impl Redundancy {
    /// The level of this number, 0 to 4.
    pub const fn of_level(level: u8) -> Option<Self> {
        match level {
            0 => Some(Self::None),
            1 => Some(Self::Medium),
            2 => Some(Self::Strong),
            3 => Some(Self::Insane),
            4 => Some(Self::Paranoid),
            _ => None,
        }
    }

    /// The level's number.
    pub const fn level(self) -> u8 {
        self as u8
    }

    /// Parity chunks that a group of so many data chunks gets.
    pub fn parities(self, data: usize) -> usize {
        let of_table =
            |table: Table| table.iter().find(|(from, _)| data >= *from).map_or(0, |(_, count)| *count);
        match self {
            Self::None => 0,
            Self::Medium => of_table(MEDIUM),
            Self::Strong => of_table(STRONG),
            Self::Insane => match INSANE.iter().filter(|from| data >= **from).count() {
                0 => 0,
                reached => INSANE_LEAST + reached - 1,
            },
            Self::Paranoid if data == 0 => 0,
            Self::Paranoid => PARANOID[data.min(PARANOID.len()) - 1],
        }
    }

    /// Data chunks that one parent has room for.
    pub fn most_data(self) -> usize {
        BRANCHES - self.parities(BRANCHES)
    }

    /// Copies of the root chunk at other places.
    pub const fn root_copies(self) -> usize {
        match self {
            Self::None => 0,
            Self::Medium => 2,
            Self::Strong => 4,
            Self::Insane => 8,
            Self::Paranoid => 16,
        }
    }

    /// Stamps that content of so many bytes takes: data, parities, parents and copies of the root.
    pub fn stamps(self, bytes: usize) -> usize {
        let mut level = bytes.div_ceil(PAYLOAD_BYTES).max(1);
        let mut stamps = level + self.root_copies();
        while level > 1 {
            let (full, rest) = (level / self.most_data(), level % self.most_data());
            // A lone trailing reference goes up as it is.
            let last_parent = usize::from(rest > 1);
            stamps += full * self.parities(self.most_data());
            stamps += if rest > 1 { self.parities(rest) } else { 0 };
            stamps += full + last_parent;
            level = full + usize::from(rest > 0);
        }
        stamps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Redundancy; 5] =
        [Redundancy::None, Redundancy::Medium, Redundancy::Strong, Redundancy::Insane, Redundancy::Paranoid];

    #[test]
    fn a_level_is_its_number() {
        for level in 0..=4 {
            assert_eq!(Redundancy::of_level(level).unwrap().level(), level);
        }
        assert_eq!(Redundancy::of_level(5), None);
    }

    #[test]
    fn parents_hold_as_many_as_the_nodes_parents_do() {
        assert_eq!(ALL.map(Redundancy::most_data), [128, 119, 107, 97, 38]);
        assert_eq!([1, 2, 5, 14, 94, 119].map(|data| Redundancy::Medium.parities(data)), [3, 3, 4, 5, 9, 9]);
        assert_eq!([1, 92, 97].map(|data| Redundancy::Insane.parities(data)), [6, 31, 31]);
        assert_eq!([1, 37, 38].map(|data| Redundancy::Paranoid.parities(data)), [20, 90, 90]);
    }

    #[test]
    fn what_content_costs_in_stamps() {
        assert_eq!(ALL.map(|level| level.stamps(100)), [1, 3, 5, 9, 17]);
        assert_eq!(ALL.map(|level| level.stamps(10_000)), [4, 9, 14, 20, 47]);
        assert_eq!([1 << 20, 3 << 20].map(|bytes| Redundancy::None.stamps(bytes)), [259, 775]);
        assert_eq!([1 << 20, 3 << 20].map(|bytes| Redundancy::Medium.stamps(bytes)), [288, 843]);
    }
}
