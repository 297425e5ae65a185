//! How light a colour is: enough to tell a shaded cell from the paper it is on.

use hayro_syntax::object::{Array, Name, Number, Object};
use hayro_syntax::page::Resources;

/// A colour, as far as it matters here.
#[derive(Clone, Debug)]
pub(crate) struct Colour {
    /// 0 black to 1 white.
    pub(crate) luma: f32,
    /// Numbers of its space are amounts of ink rather than of light.
    is_ink: bool,
}

impl Colour {
    pub(crate) const BLACK: Self = Self {
        luma: 0.0,
        is_ink: false,
    };

    /// A colour of one of the device spaces, which the count of its numbers tells apart.
    pub(crate) fn set(&mut self, numbers: &[&Number]) {
        self.is_ink = false;
        self.set_numbers(numbers.iter().map(|number| number.as_f32()));
    }

    /// A colour of the space that was set before.
    pub(crate) fn set_in_space(&mut self, numbers: &[Number]) {
        self.set_numbers(numbers.iter().map(Number::as_f32));
    }

    fn set_numbers(&mut self, numbers: impl ExactSizeIterator<Item = f32>) {
        let count = numbers.len();
        let mut values = [0.0; 4];
        for (value, number) in values.iter_mut().zip(numbers) {
            *value = if number.is_finite() {
                number.clamp(0.0, 1.0)
            } else {
                0.0
            };
        }
        let [a, b, c, d] = values;
        self.luma = match count {
            1 if self.is_ink => 1.0 - a,
            1 => a,
            // Rec. 601.
            3 if !self.is_ink => 0.299 * a + 0.587 * b + 0.114 * c,
            4 => (1.0 - d) * (0.299 * (1.0 - a) + 0.587 * (1.0 - b) + 0.114 * (1.0 - c)),
            // A pattern, or inks of unknown colours: something that is neither paper nor black.
            _ => 0.5,
        };
    }

    /// Sets the space; the colour becomes black, as the format says.
    pub(crate) fn set_space(&mut self, name: &Name<'_>, resources: &Resources<'_>) {
        let space = resources.get_color_space(name);
        let kind = match space {
            Some(Object::Array(space)) => kind_of(&space),
            _ => None,
        };
        self.is_ink = matches!(kind.as_deref(), Some("Separation" | "DeviceN"));
        self.luma = 0.0;
    }
}

fn kind_of(space: &Array<'_>) -> Option<String> {
    let kind = space.iter::<Name<'_>>().next()?;
    Some(kind.as_str().to_owned())
}
