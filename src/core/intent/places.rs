//! Where a message is measured by which threshold: the account's, a server's, or a channel's.

use super::Filter;
use crate::core::access::{self, Found, Place, Spot};
use crate::core::chat::Inbound;

/// What messages are measured by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bar {
    /// From this score on a message is answered, in thousandths.
    pub threshold: u16,
    /// Whether one that mentions us is answered whatever its score.
    pub always_mentions: bool,
}

impl Default for Bar {
    fn default() -> Bar {
        Bar { threshold: 700, always_mentions: true }
    }
}

/// What a place changes of what holds around it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Amends {
    /// Whether it is asked there at all.
    pub enabled: Option<bool>,
    /// The threshold.
    pub threshold: Option<u16>,
    /// Whether mentions are answered in any case.
    pub always_mentions: Option<bool>,
}

/// What holds in one server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GuildBars {
    /// Which.
    pub place: Place,
    /// What it changes itself.
    pub amends: Amends,
    /// What its channels change.
    pub channels: Vec<(Place, Amends)>,
}

impl Filter {
    /// What `inbound` is measured by, where its channel (or the one around it) is called
    /// `chat_name`, and where its threshold is written. `None` where it is not.
    #[must_use]
    pub fn bar(&self, inbound: &Inbound<'_>, chat_name: Option<&str>) -> Option<(Bar, Spot)> {
        let guild = inbound.guild?;
        let mut is_on = self.bar.is_some();
        let mut bar = self.bar.unwrap_or_default();
        let mut spot = Spot::Account;
        let mut take = |amends: Amends, at: Spot| {
            is_on = amends.enabled.unwrap_or(is_on);
            if let Some(threshold) = amends.threshold {
                (bar.threshold, spot) = (threshold, at);
            }
            bar.always_mentions = amends.always_mentions.unwrap_or(bar.always_mentions);
        };
        if let Some((server, which)) = access::find(&self.places, |bars| &bars.place, guild, None) {
            take(server.amends, Spot::Guild(which));
            let chat = access::ruled_by(inbound.chat.id, inbound.parent);
            let channel = access::find(&server.channels, |(place, _)| place, chat, chat_name);
            if let Some((&(_, amends), own)) = channel {
                take(amends, Spot::Channel(which, own));
            }
        }
        is_on.then_some((bar, spot))
    }
}

const FOUND: [Found; 3] = [Found::Own, Found::Named, Found::Any];

/// The spots there are, in the order of their codes.
fn spots() -> impl Iterator<Item = Spot> {
    let channels = FOUND.into_iter().flat_map(|guild| FOUND.map(|own| Spot::Channel(guild, own)));
    std::iter::once(Spot::Account).chain(FOUND.map(Spot::Guild)).chain(channels)
}

/// A number below 16 that stands for `spot`.
pub(super) fn code(spot: Spot) -> u64 {
    spots().zip(0..).find(|&(known, _)| known == spot).map_or(0, |(_, code)| code)
}

pub(super) fn of_code(code: u64) -> Spot {
    spots().zip(0..).find(|&(_, known)| known == code).map_or(Spot::Account, |(spot, _)| spot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::chat::sample::inbound;

    fn permille(filter: &Filter, at: &Inbound<'_>, name: Option<&str>) -> Option<(u16, Spot)> {
        filter.bar(at, name).map(|(bar, spot)| (bar.threshold, spot))
    }

    fn set(threshold: u16) -> Amends {
        Amends { enabled: Some(true), threshold: Some(threshold), always_mentions: None }
    }

    const OFF: Amends = Amends { enabled: Some(false), threshold: None, always_mentions: None };

    #[test]
    fn the_innermost_place_decides_and_what_it_leaves_open_holds_from_around_it() {
        let mentions = Amends { always_mentions: Some(false), ..Amends::default() };
        let channels = vec![
            (Place::Id(5), mentions),
            (Place::Name("help".into()), set(300)),
            (Place::Id(6), OFF),
            (Place::Any, set(900)),
        ];
        let bars = |place, amends, channels| GuildBars { place, amends, channels };
        let places = vec![
            bars(Place::Id(9), set(500), channels),
            bars(Place::Id(8), OFF, Vec::new()),
            bars(Place::Any, Amends::default(), Vec::new()),
        ];
        let filter = Filter { places, ..Filter::default() };
        let at = |guild, chat| {
            let mut inbound = inbound();
            (inbound.guild, inbound.chat.id) = (Some(guild), chat);
            inbound
        };
        let (bar, spot) = filter.bar(&at(9, 5), None).unwrap();
        assert_eq!(bar, Bar { threshold: 500, always_mentions: false });
        assert_eq!(spot, Spot::Guild(Found::Own), "where the threshold is written");
        let spot = |own| Spot::Channel(Found::Own, own);
        assert_eq!(permille(&filter, &at(9, 6), None), None);
        assert_eq!(permille(&filter, &at(9, 7), Some("help")), Some((300, spot(Found::Named))));
        assert_eq!(permille(&filter, &at(9, 7), Some("x")), Some((900, spot(Found::Any))));
        let thread = Inbound { parent: Some(6), ..at(9, 77) };
        assert_eq!(permille(&filter, &thread, None), None, "a thread is like its channel");
        assert_eq!(permille(&filter, &at(8, 5), None), None);
        assert_eq!(permille(&filter, &at(4, 5), None), Some((700, Spot::Account)));
        let direct = Inbound { guild: None, ..inbound() };
        assert_eq!(permille(&filter, &direct, None), None, "it is never asked there");
        let only_there = Filter { bar: None, ..filter };
        assert_eq!(permille(&only_there, &at(4, 5), None), None);
        assert_eq!(permille(&only_there, &at(9, 7), Some("help")), Some((300, spot(Found::Named))));
    }

    #[test]
    fn every_spot_has_a_code_of_four_bits() {
        assert!(spots().count() <= 16);
        assert!(spots().all(|spot| code(spot) < 16 && of_code(code(spot)) == spot));
        assert_eq!(of_code(15), Spot::Account);
    }
}
