//! Optional content: layers that the file switches off are not part of what a page shows.

use std::collections::BTreeSet;

use hayro_syntax::Pdf;
use hayro_syntax::object::dict::keys::{D, OC, OCGS, OCPROPERTIES, OFF, ON};
use hayro_syntax::object::{Array, Dict, MaybeRef, Name, Object, ObjectIdentifier};

/// Layers of a document; more are no layers.
const LAYERS_MAX: usize = 10_000;

/// Which layers are off.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    off: BTreeSet<(u32, i32)>,
}

fn key(id: ObjectIdentifier) -> (u32, i32) {
    (id.obj_number, id.gen_number)
}

fn members(array: &Array<'_>) -> Vec<(u32, i32)> {
    let ids = array.raw_iter().filter_map(|item| item.as_obj_ref());
    let ids = ids.map(|id| key(id.into()));
    ids.take(LAYERS_MAX).collect()
}

impl Layers {
    pub(crate) fn of(pdf: &Pdf) -> Self {
        Self::read(pdf).unwrap_or_default()
    }

    fn read(pdf: &Pdf) -> Option<Self> {
        let catalog = pdf.xref().get::<Dict<'_>>(pdf.xref().root_id())?;
        let properties = catalog.get::<Dict<'_>>(OCPROPERTIES)?;
        let config = properties.get::<Dict<'_>>(D)?;
        let mut off = BTreeSet::new();
        let base = config.get::<Name<'_>>(&b"BaseState"[..]);
        if base.is_some_and(|base| base.as_str() == "OFF")
            && let Some(all) = properties.get::<Array<'_>>(OCGS)
        {
            off.extend(members(&all));
            if let Some(on) = config.get::<Array<'_>>(ON) {
                for id in members(&on) {
                    off.remove(&id);
                }
            }
        }
        if let Some(listed) = config.get::<Array<'_>>(OFF) {
            off.extend(members(&listed));
        }
        Some(Self { off })
    }

    /// Whether content under the property `name` is not shown.
    pub(crate) fn hides(&self, properties: &Dict<'_>, name: &[u8]) -> bool {
        !self.off.is_empty() && self.hides_key(properties, name)
    }

    /// Whether an object with an entry `OC` is not shown.
    pub(crate) fn hides_object(&self, dict: &Dict<'_>) -> bool {
        !self.off.is_empty() && self.hides_key(dict, OC)
    }

    fn hides_key(&self, dict: &Dict<'_>, name: &[u8]) -> bool {
        if let Some(MaybeRef::Ref(id)) = dict.get_raw::<Object<'_>>(name)
            && self.off.contains(&key(id.into()))
        {
            return true;
        }
        // A membership dictionary: shown if any of its layers is on.
        let Some(membership) = dict.get::<Dict<'_>>(name) else {
            return false;
        };
        if let Some(group) = membership.get_ref(OCGS) {
            return self.off.contains(&key(group.into()));
        }
        let groups = membership.get::<Array<'_>>(OCGS);
        let groups = groups.map(|groups| members(&groups)).unwrap_or_default();
        !groups.is_empty() && groups.iter().all(|group| self.off.contains(group))
    }
}
