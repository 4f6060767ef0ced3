//! The source of the rooms that the page's story names, as it was when this program was made.
//! Which of them is shown where is not known here.

/// Files below `src/`, each by its path.
macro_rules! rooms {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../", $path)))),*]
    };
}

/// Some 160 KiB: one room for each step.
const ROOMS: &[(&str, &str)] = rooms![
    "http/connection.rs",
    "http/framing.rs",
    "http/head.rs",
    "server/accepting.rs",
    "server/conversation.rs",
    "server/desk.rs",
    "server/dialing.rs",
    "server/leaving.rs",
    "server/mod.rs",
    "server/sending.rs",
    "server/serving.rs",
    "site/representation.rs",
    "site/router.rs",
];

/// The source of the room of this path, if a story names it.
pub(super) fn source(path: &str) -> Option<&'static str> {
    ROOMS.iter().find(|(known, _)| *known == path).map(|&(_, source)| source)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_rooms_that_a_story_names_are_here_and_no_others() {
        let is_room = |word: &&str| word.rsplit_once('.').is_some_and(|(_, kind)| kind == "rs");
        let words = include_str!("page/story.js").split('"');
        let named: BTreeSet<&str> = words.filter(is_room).collect();
        let known: BTreeSet<&str> = ROOMS.iter().map(|(path, _)| *path).collect();
        assert_eq!(named, known);
        assert_eq!((ROOMS.len(), source("server/rooms.rs")), (known.len(), None));
        assert!(ROOMS.iter().all(|(_, source)| source.starts_with("//! ")));
    }
}
