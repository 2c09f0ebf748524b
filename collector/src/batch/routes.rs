//! The routes that rows were joined with: addresses that were looked up and keys in, routes out. What a route says
//! stands in the book of its router, which the column holds on to; rows of one router lie together, so there are few.

use std::net::Ipv6Addr;
use std::sync::Arc;

use wire::bgp::Prefix;

use crate::join::route::RouteOctets;
use crate::join::{Book, JoinedRoute, RouteKey};

/// One joined route a row.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// What was looked up, IPv4 as IPv4-mapped: the prefix is as much of it as the key says.
    addresses: Vec<[u8; 16]>,
    keys: Vec<RouteKey>,
    /// The first row of each book; it goes as far as the next one.
    books: Vec<(usize, Arc<Book>)>,
}

impl Routes {
    pub(super) fn new(rows: usize) -> Self {
        let (addresses, keys) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        Self { addresses, keys, books: Vec::with_capacity(16) }
    }

    /// The route of a row. `None`: it has none.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<JoinedRoute<'_>> {
        let key = self.keys.get(row).copied()?;
        let (_, book) = self.book(row)?;
        let octets = book.entry(key.entry())?;
        let address = Ipv6Addr::from(*self.addresses.get(row)?);
        let prefix = Prefix::new(address.to_canonical(), key.length());
        RouteOctets(octets).read(prefix, key.is_stale())
    }

    /// What two rows have in common if their routes differ in nothing but their prefixes and in whether they are
    /// stale. `None`: the row has no route.
    #[must_use]
    pub fn common(&self, row: usize) -> Option<(usize, u32)> {
        let entry = self.keys.get(row)?.entry();
        let (nth, _) = self.book(row)?;
        (entry != 0).then_some((nth, entry))
    }

    /// The book of a row and which of the column's it is.
    fn book(&self, row: usize) -> Option<(usize, &Book)> {
        let nth = self.books.partition_point(|(first, _)| *first <= row).checked_sub(1)?;
        let (_, book) = self.books.get(nth)?;
        Some((nth, book))
    }

    /// Appends rows of one router; it has no book if it has no routes.
    #[inline]
    pub(super) fn extend(&mut self, addresses: &[[u8; 16]], keys: &[RouteKey], book: Option<&Arc<Book>>) {
        if let Some(book) = book
            && self.books.last().is_none_or(|(_, last)| !Arc::ptr_eq(last, book))
        {
            self.books.push((self.keys.len(), Arc::clone(book)));
        }
        self.addresses.extend_from_slice(addresses);
        self.keys.extend_from_slice(keys);
    }

    pub(super) const fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.addresses.truncate(rows);
        self.keys.truncate(rows);
        while self.books.last().is_some_and(|(first, _)| *first >= rows) {
            self.books.pop();
        }
    }

    pub(super) fn pad(&mut self, rows: usize) {
        self.addresses.resize(rows, [0; 16]);
        self.keys.resize(rows, RouteKey::default());
    }
}

impl PartialEq for Routes {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && (0..self.len()).all(|row| self.get(row) == other.get(row))
    }
}

impl Eq for Routes {}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(peer_as: u32) -> Arc<Book> {
        let route = JoinedRoute {
            prefix: Prefix::new(Ipv6Addr::UNSPECIFIED.into(), 0),
            peer: None,
            peer_as,
            view: wire::bmp::RibView::LocRib,
            rd: None,
            labels: &[],
            stale: false,
            attributes: &[],
        };
        let (book, mut octets) = (Book::default(), Vec::new());
        RouteOctets::write(&route, &mut octets);
        assert!(book.write(1, &octets));
        Arc::new(book)
    }

    #[test]
    fn rows_have_the_books_that_they_were_written_with() {
        let (one, two) = (book(1), book(2));
        let mut v4 = [0; 16];
        v4[10..].copy_from_slice(&[0xff, 0xff, 10, 1, 2, 3]);
        let key = |length, stale| RouteKey::new(1, length).stale(stale);
        let mut routes = Routes::new(4);
        routes.pad(1);
        routes.extend(&[v4, [0x20; 16]], &[key(20, false), key(12, true)], Some(&one));
        routes.extend(&[v4], &[RouteKey::default()], Some(&one));
        routes.extend(&[v4], &[key(32, false)], Some(&two));
        let seen = |routes: &Routes| -> Vec<Option<(String, u32, bool)>> {
            let row = |row| routes.get(row).map(|r| (r.prefix.to_string(), r.peer_as, r.stale));
            (0..routes.len()).map(row).collect()
        };
        let all = [
            None,
            Some(("10.1.0.0/20".to_owned(), 1, false)),
            Some(("2020::/12".to_owned(), 1, true)),
            None,
            Some(("10.1.2.3/32".to_owned(), 2, false)),
        ];
        assert_eq!(seen(&routes), all);
        assert_eq!(
            [0, 1, 2, 3, 4].map(|row| routes.common(row)),
            [None, Some((0, 1)), Some((0, 1)), None, Some((1, 1))]
        );
        // Rows that are taken back let go of their book; those that come instead have their own.
        routes.truncate(4);
        assert_eq!((Arc::strong_count(&two), Arc::strong_count(&one)), (1, 2));
        routes.extend(&[v4], &[key(8, false)], Some(&one));
        assert_eq!(seen(&routes)[4], Some(("10.0.0.0/8".to_owned(), 1, false)));
        routes.truncate(0);
        assert_eq!((Arc::strong_count(&one), routes.len()), (1, 0));
    }
}
