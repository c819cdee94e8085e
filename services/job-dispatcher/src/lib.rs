//! Jobs on both sides of the market: buying and selling.
