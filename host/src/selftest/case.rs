//! What a row of the kit is made of.

/// One attempt.
#[derive(Debug)]
pub(crate) struct Case {
    /// Its name, for `--only`.
    pub(crate) name: &'static str,
    /// What the component tries, in a few words.
    pub(crate) attempts: &'static str,
    /// Which component, and what it is told.
    pub(super) guest: Guest,
    /// What may come of it: races have two ends.
    pub(super) expected: &'static [Expected],
}

/// Which component, and what it is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Guest {
    /// The hostile converter, with this first line of its input. [`CANARIES`] stands for the ways to
    /// the canaries.
    Told(&'static str),
    /// The same, and somebody on the host who changes files meanwhile.
    Aided(&'static str, Aid),
    /// The hostile converter, asked by `probe` about a file that begins so.
    Probed(&'static str),
    /// The hostile converter, with this behaviour of `describe`.
    Describing(&'static [u8; 4]),
    /// The hostile cloud converter, with this word, a service, and a host that it must not reach.
    Calling(&'static str),
    /// The same, asked for the documents of the service.
    Listing,
    /// The same, asked about the document with this id.
    Asking(&'static str),
    /// A component of `guests/`, by its name.
    Assembled(&'static str),
    /// What is no component at all.
    Posing(Pose),
}

/// Stands in the line of a guest for every path by which a canary could be reached.
pub(super) const CANARIES: &str = "$CANARIES";

/// What somebody on the host does to the output directory while a converter runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aid {
    /// Puts a symbolic link to a canary there.
    Plant,
    /// Also exchanges a file and a folder with links to canaries, again and again.
    Flip,
    /// Puts a link to a canary in the place of the page, before it is collected.
    Swap,
    /// Exchanges the page with such a link, again and again, also while it is collected.
    SwapOnAndOn,
}

/// What passes itself off as a component.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pose {
    /// Machine code for this very engine.
    Precompiled,
    /// A core module.
    Module,
    /// Half a component.
    Half,
    /// A shell script.
    Script,
    /// A converter that wants endpoints.
    Cloud,
}

/// What an attempt may come to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    /// A document: what kept the component in, how its page begins, and the functions that refused and
    /// counted it.
    Page(&'static str, &'static str, &'static [&'static str]),
    /// An error with this code, and these words in it.
    Error(&'static str, &'static str),
}

impl Expected {
    /// What catches the component then.
    pub(super) fn catch(self) -> &'static str {
        match self {
            Self::Page(catch, ..) | Self::Error(catch, _) => catch,
        }
    }
}

impl Case {
    /// Whether its end is that of its time; such a case is given less of it.
    pub(super) fn runs_on(&self) -> bool {
        let mut expected = self.expected.iter();
        expected.any(|expected| matches!(expected.catch(), "limit-cpu" | "limit-wait"))
    }
}
