//! Where each box stands: layers from left to right, so that work flows one way.
//!
//! The usual four steps: lines that close a cycle are turned around; each box stands a layer behind the last
//! that gives to it; order within a layer by where the neighbours are; and heights by the same, as near to the
//! neighbours as the boxes' own room allows. No step is more than linear in boxes and bends, but for sorting.

/// Sweeps over all layers that put neighbours beside each other.
const SWEEPS: usize = 8;
/// Bends in all; past that lines go straight from box to box.
const BENDS_MAX: usize = 20_000;
/// Between two boxes of a layer, pixels.
const GAP: f64 = 26.0;
/// Between two lines that pass a layer, or a line and a box, pixels.
const LINE_GAP: f64 = 14.0;
/// Between two layers, pixels.
pub(super) const LAYER_GAP: f64 = 80.0;

/// What the layout is told of a box, pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Where things are, pixels.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Each box's left and upper corner.
    pub(super) corners: Vec<(f64, f64)>,
    /// Each line's points between its boxes: where it passes a layer, left and right.
    pub(super) bends: Vec<Vec<(f64, f64)>>,
    /// Each line's way is against the flow.
    pub(super) back: Vec<bool>,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A box, or a place where a line passes a layer.
#[derive(Debug, Clone, Copy)]
struct Item {
    layer: usize,
    /// Half of its height.
    half: f64,
    is_box: bool,
    /// Its middle.
    y: f64,
}

/// Lays out boxes of these sizes with lines between them.
pub(super) fn layout(sizes: &[Size], lines: &[(usize, usize)]) -> Layout {
    let back = backward(sizes.len(), lines);
    let forward: Vec<(usize, usize)> = lines
        .iter()
        .zip(&back)
        .map(|(&(from, to), back)| if *back { (to, from) } else { (from, to) })
        .collect();
    let layers = layers(sizes.len(), &forward);
    let mut web = Web::new(sizes, &layers, &forward);
    web.order();
    web.heights();
    web.place(sizes, back)
}

/// Which lines close a cycle: those to a box that a walk in depth is still in.
fn backward(boxes: usize, lines: &[(usize, usize)]) -> Vec<bool> {
    let mut outgoing: Vec<Vec<(usize, usize)>> = vec![Vec::new(); boxes];
    let mut is_target = vec![false; boxes];
    for (line, &(from, to)) in lines.iter().enumerate() {
        if let (Some(list), Some(target)) = (outgoing.get_mut(from), is_target.get_mut(to)) {
            list.push((line, to));
            *target |= from != to;
        }
    }
    let mut back = vec![false; lines.len()];
    // 0: not seen; 1: the walk is in it; 2: done.
    let mut state = vec![0_u8; boxes];
    // Where nothing leads to, the flow begins; what is left is in cycles.
    let starts = (0..boxes).filter(|at| is_target.get(*at) == Some(&false)).chain(0..boxes);
    for start in starts {
        if state.get(start) != Some(&0) {
            continue;
        }
        let mut stack = vec![(start, 0_usize)];
        set(&mut state, start, 1);
        while let Some((at, next)) = stack.pop() {
            let Some(&(line, to)) = outgoing.get(at).and_then(|list| list.get(next)) else {
                set(&mut state, at, 2);
                continue;
            };
            stack.push((at, next + 1));
            match state.get(to) {
                Some(0) => {
                    set(&mut state, to, 1);
                    stack.push((to, 0));
                }
                Some(1) => set(&mut back, line, true),
                _ => {}
            }
        }
    }
    back
}

/// The layer of each box: behind all that give to it, and as far right as what it gives to allows.
fn layers(boxes: usize, lines: &[(usize, usize)]) -> Vec<usize> {
    let mut outgoing: Vec<Vec<usize>> = vec![Vec::new(); boxes];
    let mut waiting = vec![0_usize; boxes];
    for &(from, to) in lines.iter().filter(|(from, to)| from != to) {
        if let (Some(list), Some(count)) = (outgoing.get_mut(from), waiting.get_mut(to)) {
            list.push(to);
            *count += 1;
        }
    }
    let mut layer = vec![0_usize; boxes];
    let mut ready: std::collections::VecDeque<usize> =
        (0..boxes).filter(|at| waiting.get(*at) == Some(&0)).collect();
    let mut sorted = Vec::with_capacity(boxes);
    while let Some(at) = ready.pop_front() {
        sorted.push(at);
        let next = layer.get(at).copied().unwrap_or(0) + 1;
        for &to in outgoing.get(at).into_iter().flatten() {
            if let (Some(own), Some(count)) = (layer.get_mut(to), waiting.get_mut(to)) {
                *own = next.max(*own);
                *count -= 1;
                if *count == 0 {
                    ready.push_back(to);
                }
            }
        }
    }
    // A source stands beside what it feeds, not at the left edge.
    let has_giver: std::collections::BTreeSet<usize> =
        lines.iter().filter(|(from, to)| from != to).map(|&(_, to)| to).collect();
    for at in sorted.into_iter().rev().filter(|at| !has_giver.contains(at)) {
        let nearest = outgoing.get(at).into_iter().flatten().filter_map(|to| layer.get(*to)).min();
        if let Some(nearest) = nearest.copied() {
            set(&mut layer, at, nearest.saturating_sub(1));
        }
    }
    layer
}

/// Boxes and bends in their layers, and who is beside whom.
struct Web {
    items: Vec<Item>,
    /// Items of each layer, from above.
    layers: Vec<Vec<usize>>,
    left: Vec<Vec<usize>>,
    right: Vec<Vec<usize>>,
    /// The bends of each line, from left to right.
    bends: Vec<Vec<usize>>,
}

impl Web {
    fn new(sizes: &[Size], layer_of: &[usize], lines: &[(usize, usize)]) -> Web {
        let count = layer_of.iter().max().map_or(0, |last| last + 1);
        let mut items: Vec<Item> = sizes
            .iter()
            .zip(layer_of)
            .map(|(size, layer)| Item { layer: *layer, half: size.height / 2.0, is_box: true, y: 0.0 })
            .collect();
        let layer = |at: usize| layer_of.get(at).copied().unwrap_or(0);
        let all: usize = lines.iter().map(|&(from, to)| layer(to).saturating_sub(layer(from) + 1)).sum();
        let bent = all <= BENDS_MAX;
        let mut bends = Vec::with_capacity(lines.len());
        let mut links = Vec::new();
        for &(from, to) in lines.iter() {
            let mut own = Vec::new();
            let mut before = from;
            if bent {
                for between in layer(from) + 1..layer(to) {
                    items.push(Item { layer: between, half: 0.0, is_box: false, y: 0.0 });
                    links.push((before, items.len() - 1));
                    before = items.len() - 1;
                    own.push(before);
                }
            }
            if from != to {
                links.push((before, to));
            }
            bends.push(own);
        }
        let mut web = Web {
            left: vec![Vec::new(); items.len()],
            right: vec![Vec::new(); items.len()],
            layers: vec![Vec::new(); count],
            items,
            bends,
        };
        for (from, to) in links {
            if let (Some(right), Some(left)) = (web.right.get_mut(from), web.left.get_mut(to)) {
                right.push(to);
                left.push(from);
            }
        }
        web.first_order();
        web
    }

    /// Connected boxes follow each other from the start: a walk in depth from what stands leftmost.
    fn first_order(&mut self) {
        let mut seen = vec![false; self.items.len()];
        let mut starts: Vec<usize> = (0..self.items.len()).collect();
        starts.sort_by_key(|at| self.items.get(*at).map_or(0, |item| item.layer));
        for start in starts {
            let mut stack = vec![start];
            while let Some(at) = stack.pop() {
                if std::mem::replace(seen.get_mut(at).unwrap_or(&mut true), true) {
                    continue;
                }
                let layer = self.items.get(at).map_or(0, |item| item.layer);
                if let Some(layer) = self.layers.get_mut(layer) {
                    layer.push(at);
                }
                let right = self.right.get(at).into_iter().flatten();
                let left = self.left.get(at).into_iter().flatten();
                stack.extend(left.rev().chain(right.rev()).copied());
            }
        }
    }

    /// Puts each item where its neighbours are, from left to right and back.
    fn order(&mut self) {
        let mut place = vec![0.0; self.items.len()];
        for sweep in 0..SWEEPS {
            let forth = sweep % 2 == 0;
            for layer in &self.layers {
                number(layer, &mut place);
            }
            let count = self.layers.len();
            for step in 0..count {
                let at = if forth { step } else { count - 1 - step };
                let beside = if forth { &self.left } else { &self.right };
                let Some(layer) = self.layers.get_mut(at) else { continue };
                let wanted = |item: &usize| {
                    let own = place.get(*item).copied().unwrap_or(0.0);
                    mean(beside.get(*item).into_iter().flatten().filter_map(|at| place.get(*at)).copied())
                        .unwrap_or(own)
                };
                let mut keyed: Vec<(f64, usize)> = layer.iter().map(|item| (wanted(item), *item)).collect();
                // A stable sort: what is as good as before stays.
                keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
                *layer = keyed.into_iter().map(|(_, item)| item).collect();
                number(layer, &mut place);
            }
        }
    }

    /// Gives each item its height: as near to its neighbours as the room of the others allows.
    fn heights(&mut self) {
        for index in 0..self.layers.len() {
            self.settle(index, &|web: &Web, at| web.items.get(at).map_or(0.0, |item| item.y));
        }
        for sweep in 0..SWEEPS {
            let forth = sweep % 2 == 0;
            for step in 0..self.layers.len() {
                let index = if forth { step } else { self.layers.len() - 1 - step };
                let last = sweep + 2 >= SWEEPS;
                self.settle(index, &|web: &Web, at| {
                    let own = web.items.get(at).map_or(0.0, |item| item.y);
                    let left = web.left.get(at).into_iter().flatten();
                    let right = web.right.get(at).into_iter().flatten();
                    let height = |at: &usize| web.items.get(*at).map(|item| item.y);
                    let around = match (last, forth) {
                        (true, _) => mean(left.chain(right).filter_map(height)),
                        (false, true) => mean(left.filter_map(height)),
                        (false, false) => mean(right.filter_map(height)),
                    };
                    around.unwrap_or(own)
                });
            }
        }
    }

    /// The heights of a layer that are nearest to the wanted ones and leave each item its room: items that would
    /// overlap are pooled, and a pool stands at the mean of what its items want.
    fn settle(&mut self, layer: usize, wanted: &dyn Fn(&Web, usize) -> f64) {
        let Some(items) = self.layers.get(layer) else { return };
        let mut offset = 0.0;
        let mut before: Option<Item> = None;
        let mut offsets = Vec::with_capacity(items.len());
        // Pools: sum of wants less offsets, and how many.
        let mut pools: Vec<(f64, usize)> = Vec::new();
        for at in items {
            let Some(item) = self.items.get(*at).copied() else { continue };
            if let Some(before) = before {
                let gap = if before.is_box && item.is_box { GAP } else { LINE_GAP };
                offset += before.half + gap + item.half;
            }
            before = Some(item);
            offsets.push(offset);
            pools.push((wanted(self, *at) - offset, 1));
            while let [.., (sum_a, count_a), (sum_b, count_b)] = pools.as_slice() {
                if mean_of(*sum_a, *count_a) <= mean_of(*sum_b, *count_b) {
                    break;
                }
                let joined = (sum_a + sum_b, count_a + count_b);
                pools.truncate(pools.len() - 2);
                pools.push(joined);
            }
        }
        let heights =
            pools.iter().flat_map(|(sum, count)| std::iter::repeat_n(mean_of(*sum, *count), *count));
        let settled: Vec<(usize, f64)> =
            items.iter().copied().zip(heights.zip(offsets).map(|(height, offset)| height + offset)).collect();
        for (at, y) in settled {
            if let Some(item) = self.items.get_mut(at) {
                item.y = y;
            }
        }
    }

    /// Corners and bends from layers and heights; the upper left is at zero.
    fn place(&self, sizes: &[Size], back: Vec<bool>) -> Layout {
        let mut widths = vec![0.0_f64; self.layers.len()];
        for (item, size) in self.items.iter().zip(sizes) {
            if let Some(width) = widths.get_mut(item.layer) {
                *width = width.max(size.width);
            }
        }
        let mut lefts = Vec::with_capacity(widths.len());
        let mut x = 0.0;
        for width in &widths {
            lefts.push(x);
            x += width + LAYER_GAP;
        }
        let top = self.items.iter().map(|item| item.y - item.half).fold(f64::INFINITY, f64::min);
        let bottom = self.items.iter().map(|item| item.y + item.half).fold(f64::NEG_INFINITY, f64::max);
        let left = |layer: usize| lefts.get(layer).copied().unwrap_or(0.0);
        let wide = |layer: usize| widths.get(layer).copied().unwrap_or(0.0);
        let corners = self.items.iter().zip(sizes).map(|(item, size)| {
            (left(item.layer) + (wide(item.layer) - size.width) / 2.0, item.y - item.half - top)
        });
        let bends = self.bends.iter().map(|bends| {
            let items = bends.iter().filter_map(|at| self.items.get(*at));
            items
                .flat_map(|item| {
                    let y = item.y - top;
                    [(left(item.layer), y), (left(item.layer) + wide(item.layer), y)]
                })
                .collect()
        });
        let height = if self.items.is_empty() { 0.0 } else { bottom - top };
        let width = (x - LAYER_GAP).max(0.0);
        Layout { corners: corners.collect(), bends: bends.collect(), back, width, height }
    }
}

fn set<T>(list: &mut [T], at: usize, value: T) {
    if let Some(slot) = list.get_mut(at) {
        *slot = value;
    }
}

/// Numbers the items of a layer from above.
fn number(layer: &[usize], place: &mut [f64]) {
    let mut next = 0.0;
    for item in layer {
        set(place, *item, next);
        next += 1.0;
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| mean_of(sum, count))
}

#[expect(clippy::cast_precision_loss, reason = "a count of items is far below 2^52")]
fn mean_of(sum: f64, count: usize) -> f64 {
    sum / count as f64
}
