//! Where bodies lie, as the databases have it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::embedded::{Embedded, Options};
use crate::{Bytes, Store as _, StoreError};

fn store() -> (TempDir, Embedded) {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), Options::default()).unwrap();
    (dir, store)
}

fn put(key: &[u8], body: Vec<u8>) -> Write {
    Write::Put { table: Table::Bodies, key: key.to_vec(), value: Bytes::from(body) }
}

fn delete(key: &[u8]) -> Write {
    Write::Delete { table: Table::Bodies, key: key.to_vec() }
}

fn commit(store: &Embedded, writes: impl IntoIterator<Item = Write>) {
    let each = writes.into_iter().map(|write| Batch { checks: Vec::new(), writes: vec![write] });
    store.commit(&each.collect::<Vec<_>>()).unwrap();
}

/// As many batches as make what was there old.
fn grow_old(store: &Embedded) {
    let nothing = Write::Delete { table: Table::Meta, key: b"nothing".to_vec() };
    commit(store, std::iter::repeat_n(nothing, OLD_BATCHES as usize));
}

/// Bodies in the tree, bodies in packs, and packs. What the databases say of each other agrees.
fn lie(store: &Embedded) -> (usize, usize, usize) {
    let txn = store.env.read_txn().unwrap();
    let (mut inline, mut placed) = (0, BTreeMap::<u64, u32>::new());
    for row in store.packs.bodies.iter(&txn).unwrap() {
        let (key, stored) = row.unwrap();
        assert!(store.packs.body(&txn, key, stored).unwrap().is_some(), "a body that is nowhere");
        match Place::decode(stored) {
            Some(place) => *placed.entry(place.pack).or_default() += 1,
            None => inline += 1,
        }
    }
    let counts: BTreeMap<u64, u32> = store
        .packs
        .live
        .iter(&txn)
        .unwrap()
        .map(|row| {
            let (pack, count) = row.unwrap();
            (u64::from_be_bytes(pack.try_into().unwrap()), Count::decode(count).unwrap().left)
        })
        .collect();
    assert_eq!(counts, placed, "bodies that are left in each pack");
    let packs = store.packs.packs.iter(&txn).unwrap().map(|row| row.unwrap().0.to_vec());
    let keys = counts.keys().map(|pack| pack.to_be_bytes().to_vec());
    assert!(packs.eq(keys), "packs that are counted");
    (inline, placed.values().map(|bodies| *bodies as usize).sum(), placed.len())
}

#[test]
fn many_bodies_of_one_commit_lie_in_packs_that_go_with_their_last() {
    let (_dir, store) = store();
    commit(&store, (0..40_u8).map(|n| put(&[n], vec![n; 1024])));
    // Fifteen to a pack.
    assert_eq!(lie(&store), (0, 40, 3));
    commit(&store, (0..39_u8).map(|n| delete(&[n])));
    assert_eq!(lie(&store), (0, 1, 1));
    assert_eq!(store.get(Table::Bodies, &[39]).unwrap().unwrap(), vec![39; 1024]);
    commit(&store, [put(&[39], vec![7; 1024])]);
    assert_eq!(lie(&store), (1, 0, 0));
}

#[test]
fn few_bodies_of_one_commit_and_small_and_large_ones_lie_in_the_tree() {
    let (_dir, store) = store();
    commit(&store, (0..3_u8).map(|n| put(&[n], vec![n; 1024])));
    commit(&store, (10..20_u8).map(|n| put(&[n], vec![n; PACKED_BYTES.start() - 1])));
    commit(&store, (20..30_u8).map(|n| put(&[n], vec![n; PACKED_BYTES.end() + 1])));
    assert_eq!(lie(&store), (23, 0, 0));
}

#[test]
fn an_old_pack_gives_its_last_bodies_to_the_tree() {
    let (_dir, store) = store();
    commit(&store, (0..45_u8).map(|n| put(&[n], vec![n; 1024])));
    // Of the first pack two are left, of the second five, of the third none.
    commit(&store, (0..45_u8).filter(|n| ![0, 1, 20, 21, 22, 23, 24].contains(n)).map(|n| delete(&[n])));
    assert_eq!(lie(&store), (0, 7, 2));
    grow_old(&store);
    for _ in 0..3 {
        commit(&store, [put(b"another", Vec::new())]);
    }
    // A quarter of fifteen, rounded up, is four.
    assert_eq!(lie(&store), (3, 5, 1));
    for n in [0, 1, 20, 21, 22, 23, 24] {
        assert_eq!(store.get(Table::Bodies, &[n]).unwrap().unwrap(), vec![n; 1024]);
    }
}

#[test]
fn a_pack_that_is_gone_is_damage() {
    let (_dir, store) = store();
    commit(&store, (0..4_u8).map(|n| put(&[n], vec![n; 1024])));
    let mut txn = store.env.write_txn().unwrap();
    store.packs.packs.clear(&mut txn).unwrap();
    txn.commit().unwrap();
    let error = store.get(Table::Bodies, &[2]).unwrap_err();
    assert!(
        matches!(&error, StoreError::Damaged { place, .. } if place.ends_with("bodies, \\x02")),
        "{error}"
    );
    // What is over goes all the same.
    commit(&store, (0..4_u8).map(|n| delete(&[n])));
    assert_eq!(lie(&store), (0, 0, 0));
}

#[test]
fn a_place_of_another_key_is_damage() {
    let (_dir, store) = store();
    commit(&store, (0..4_u8).map(|n| put(&[n], vec![n; 1024])));
    let mut txn = store.env.write_txn().unwrap();
    let other = store.packs.bodies.get(&txn, &[2]).unwrap().unwrap().to_vec();
    store.packs.bodies.put(&mut txn, &[1], &other).unwrap();
    txn.commit().unwrap();
    assert!(matches!(store.get(Table::Bodies, &[1]), Err(StoreError::Damaged { .. })));
    assert_eq!(store.get(Table::Bodies, &[2]).unwrap().unwrap(), vec![2; 1024]);
}

#[test]
fn a_full_map_is_emptied_and_filled_again_though_its_free_pages_are_scattered() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), Options { map_bytes_max: 4 << 20, ..Options::default() }).unwrap();
    let key = |n: u32| n.to_be_bytes();
    let group = |groups: u32| (groups * 40..(groups + 1) * 40).map(|n| put(&key(n), vec![n as u8; 1024]));
    let batches = |writes: Vec<Write>| vec![Batch { checks: Vec::new(), writes }];
    let mut groups = 0;
    while store.commit(&batches(group(groups).collect())).is_ok() {
        groups += 1;
    }
    assert!(groups > 40, "{groups}");
    // All but one of each pack go; what is old then goes to the tree, page by page.
    let most = (0..groups * 40).filter(|n| n % 15 != 0).map(|n| delete(&key(n)));
    for some in most.collect::<Vec<_>>().chunks(100) {
        store.commit(&batches(some.to_vec())).unwrap();
    }
    grow_old(&store);
    for more in 0..groups / 2 {
        store.commit(&batches(group(groups + more).collect())).unwrap();
    }
    lie(&store);
    let all = (0..groups * 40 * 2).map(|n| delete(&key(n)));
    for some in all.collect::<Vec<_>>().chunks(100) {
        store.commit(&batches(some.to_vec())).unwrap();
    }
    assert_eq!(lie(&store), (0, 0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is written, each body is found and what is counted is so.
    #[test]
    fn every_body_is_found_and_counted(
        groups in prop::collection::vec(
            (prop::bool::weighted(0.1), prop::collection::vec((0..9_u8, 0..60_u8, 0..6_usize), 0..60)),
            1..12,
        ),
    ) {
        let (_dir, store) = store();
        let mut model = BTreeMap::new();
        let mut number = 0_u8;
        for (old, group) in groups {
            if old {
                grow_old(&store);
            }
            let writes: Vec<Write> = group.into_iter().map(|(kind, key, length)| {
                let key = [key / 10, key];
                match kind {
                    0 => {
                        model.retain(|of: &[u8; 2], _| of[0] != key[0]);
                        Write::DeletePrefix { table: Table::Bodies, prefix: vec![key[0]] }
                    }
                    1..=3 => {
                        model.remove(&key);
                        delete(&key)
                    }
                    _ => {
                        number = number.wrapping_add(1);
                        let body = vec![number; [0, 255, 256, 1024, 4096, 4097][length]];
                        model.insert(key, body.clone());
                        put(&key, body)
                    }
                }
            }).collect();
            commit(&store, writes);
            lie(&store);
            for key in 0..60 {
                let key = [key / 10, key];
                let found = store.get(Table::Bodies, &key).unwrap().map(|body| body.to_vec());
                prop_assert_eq!(found.as_ref(), model.get(&key));
            }
        }
    }
}
