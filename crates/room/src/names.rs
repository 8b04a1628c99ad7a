//! Friendly names for people who have not signed in: "Amber Heron 27".
//!
//! The same device gets the same name in every room, on every node and after every restart, because the name is a
//! function of a hash of the device's token. The token itself cannot be found from it.

use sha2::{Digest, Sha256};

/// Kind words, most of them colours and materials.
const FIRST: [&str; 64] = [
    "Amber", "Ashen", "Autumn", "Azure", "Birch", "Blithe", "Bold", "Brave", "Bright", "Bronze", "Calm", "Cedar",
    "Chalk", "Cheerful", "Clear", "Clever", "Clover", "Cobalt", "Copper", "Coral", "Crimson", "Dapper", "Dawn",
    "Eager", "Ember", "Fair", "Fleet", "Gentle", "Gilded", "Glad", "Golden", "Hazel", "Honest", "Indigo", "Ivory",
    "Jade", "Jolly", "Juniper", "Keen", "Lilac", "Lively", "Lucky", "Lunar", "Maple", "Marble", "Mellow", "Merry",
    "Misty", "Mossy", "Nimble", "Ochre", "Olive", "Opal", "Pearl", "Plum", "Quiet", "Rosy", "Rustic", "Sandy",
    "Silver", "Sunny", "Swift", "Violet", "Willow",
];

/// Animals that nobody minds being.
const SECOND: [&str; 64] = [
    "Avocet",
    "Badger",
    "Bear",
    "Beaver",
    "Bison",
    "Bittern",
    "Bluejay",
    "Bunting",
    "Caribou",
    "Cormorant",
    "Crane",
    "Curlew",
    "Deer",
    "Dolphin",
    "Dove",
    "Dunlin",
    "Egret",
    "Eider",
    "Elk",
    "Falcon",
    "Finch",
    "Fox",
    "Gannet",
    "Gecko",
    "Goldcrest",
    "Grouse",
    "Hare",
    "Hawk",
    "Hedgehog",
    "Heron",
    "Ibex",
    "Ibis",
    "Jackdaw",
    "Kestrel",
    "Kingfisher",
    "Kite",
    "Lapwing",
    "Lark",
    "Linnet",
    "Lynx",
    "Magpie",
    "Marten",
    "Moose",
    "Newt",
    "Nuthatch",
    "Oriole",
    "Osprey",
    "Otter",
    "Owl",
    "Panda",
    "Petrel",
    "Pika",
    "Plover",
    "Puffin",
    "Quail",
    "Raven",
    "Robin",
    "Seal",
    "Siskin",
    "Sparrow",
    "Stork",
    "Swallow",
    "Tern",
    "Wren",
];

/// Numbers after the name: 1 to this.
const NUMBERS: u16 = 99;

/// Who a device is, when nobody has signed in: an id that cannot be mistaken for a user's, and a name.
pub(crate) fn guest(device: &str) -> (String, String) {
    let hash = Sha256::new().chain_update(b"oriel guest\0").chain_update(device).finalize();
    let mut id = String::from("g-");
    for byte in &hash[..8] {
        id.push_str(&format!("{byte:02x}"));
    }
    let first = FIRST[usize::from(hash[8]) % FIRST.len()];
    let second = SECOND[usize::from(hash[9]) % SECOND.len()];
    let number = u16::from_be_bytes([hash[10], hash[11]]) % NUMBERS + 1;
    (id, format!("{first} {second} {number}"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_word_stands_twice() {
        assert_eq!(FIRST.iter().collect::<HashSet<_>>().len(), 64);
        assert_eq!(SECOND.iter().collect::<HashSet<_>>().len(), 64);
    }

    #[test]
    fn a_device_keeps_its_name_and_another_has_another_id() {
        let (id, name) = guest("0123456789abcdef");
        assert_eq!((id.clone(), name.clone()), guest("0123456789abcdef"));
        assert_ne!(id, guest("0123456789abcdeg").0);
        // Changing the hash or the lists renames everybody: this line is there to notice.
        assert_eq!(name.split(' ').count(), 3);
    }
}
