//! These tests show that what is written to is put back, whether the kernel tells what that is or not.

use super::*;
use crate::sys::memory::sealed_file;
use std::os::fd::AsFd;

const PAGES: usize = 8;

fn page(number: usize) -> usize {
    number * page_size()
}

/// Makes a region of eight pages, of which the first four begin as an image.
fn region(fenced: bool) -> (Region, Image) {
    let content: Vec<u8> = (0..page(5)).map(|at| (at / page_size()) as u8).collect();
    let file = sealed_file("test", &content).unwrap();
    let image = Image::open(file.as_fd(), page(1) as u64, page(4)).unwrap();
    let region = Region::reserve(1 << 32, fenced).unwrap();
    region.grow_to(page(PAGES)).unwrap();
    // SAFETY: nobody else has it.
    unsafe { region.lay(&image).unwrap() };
    (region, image)
}

fn write(region: &Region, at: usize) {
    assert!(at < region.size());
    // SAFETY: it is accessible.
    unsafe { region.base().add(at).write(0xff) };
}

fn is_as_it_was(region: &Region) {
    assert_eq!(region.size(), page(PAGES));
    // SAFETY: nobody writes to it.
    let bytes = unsafe { region.bytes() };
    for (number, page) in bytes.chunks(page_size()).enumerate() {
        let expected = if number < 4 { number as u8 + 1 } else { 0 };
        assert!(page.iter().all(|byte| *byte == expected), "page {number}");
    }
}

#[test]
fn what_was_written_to_is_put_back() {
    for dirty_pages in [DirtyPages::default(), DirtyPages::unknown()] {
        for fenced in [false, true] {
            let (region, image) = region(fenced);
            for round in 0..3 {
                for number in [0, 3, 4, 7] {
                    write(&region, page(number) + round);
                }
                // SAFETY: nobody else has it.
                unsafe { region.reset(page(PAGES), &image, &dirty_pages).unwrap() };
                is_as_it_was(&region);
            }
        }
    }
}

#[test]
fn what_has_grown_shrinks_and_is_zero_when_it_grows_again() {
    for dirty_pages in [DirtyPages::default(), DirtyPages::unknown()] {
        for fenced in [false, true] {
            let (region, image) = region(fenced);
            for size in [PAGES + 1, PAGES + 5000, PAGES + 3] {
                region.grow_to(page(size)).unwrap();
                // SAFETY: nobody writes to it.
                let bytes = unsafe { region.bytes() };
                assert!(bytes[page(PAGES)..].iter().all(|byte| *byte == 0));
                for number in PAGES..size {
                    write(&region, page(number) + 7);
                }
                // SAFETY: nobody else has it.
                unsafe { region.reset(page(PAGES), &image, &dirty_pages).unwrap() };
                is_as_it_was(&region);
            }
        }
    }
}

#[test]
fn what_is_written_to_after_a_while_is_put_back_too() {
    let dirty_pages = DirtyPages::default();
    for fenced in [false, true] {
        let (region, image) = region(fenced);
        for round in 0..60 {
            // The same page again and again, and from time to time another, or one that has to become accessible.
            write(&region, page(1) + round);
            if round % 8 == 5 {
                write(&region, page(round / 8) + round);
            }
            if round % 8 > 5 {
                region.grow_to(page(PAGES + 2)).unwrap();
                write(&region, page(PAGES + 1) + round);
            }
            // SAFETY: nobody else has it.
            unsafe { region.reset(page(PAGES), &image, &dirty_pages).unwrap() };
            is_as_it_was(&region);
        }
        region.grow_to(page(PAGES + 2)).unwrap();
        // SAFETY: nobody writes to it.
        let bytes = unsafe { region.bytes() };
        assert!(bytes[page(PAGES)..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn what_was_written_to_once_is_not_put_back_for_ever() {
    const MANY: usize = 200;
    let dirty_pages = DirtyPages::default();
    for fenced in [false, true] {
        let (region, image) = region(fenced);
        region.grow_to(page(MANY)).unwrap();
        let reset = || {
            // SAFETY: nobody else has it.
            unsafe { region.reset(page(MANY), &image, &dirty_pages).unwrap() };
            // SAFETY: the same.
            unsafe { region.bytes() }.to_vec()
        };
        let expected = reset();
        for number in 0..MANY {
            write(&region, page(number));
        }
        for round in 0..100 {
            write(&region, page(1) + round);
            write(&region, page(6) + round);
            assert!(reset() == expected);
        }
        let mut found = Vec::new();
        let seen = dirty_pages.find(region.base(), page(MANY), &mut found);
        // Kernels before 6.7 do not tell, and all of it is given back each time.
        if seen > 0 {
            assert_eq!(found, [page(1)..page(2), page(6)..page(7)]);
        }
        for number in 0..MANY {
            write(&region, page(number));
        }
        assert!(reset() == expected);
    }
}

#[test]
fn what_was_put_away_comes_back_whatever_was_written_where() {
    let dirty_pages = DirtyPages::default();
    for fenced in [false, true] {
        let (region, image) = region(fenced);
        region.grow_to(page(PAGES + 2)).unwrap();
        for round in 0..40 {
            // Here and there, a whole page, half of one, and what was there before.
            for at in (0..page(PAGES + 2)).step_by(701 + 97 * round) {
                write(&region, at);
            }
            let whole = page(round % PAGES);
            (whole..whole + page(1)).for_each(|at| write(&region, at));
            // SAFETY: nobody writes to it.
            let before = unsafe { region.bytes().to_vec() };
            // SAFETY: nobody else has it.
            let kept = unsafe { region.put_away(&image, &dirty_pages) };
            let mut left = Vec::new();
            let seen = dirty_pages.find(region.base(), page(PAGES + 2), &mut left);
            // Kernels before 6.7 do not tell, and nothing is put away.
            if seen > 0 {
                let pages = left.iter().map(Range::len).sum::<usize>() / page_size();
                assert!((1..=round + 1).contains(&pages), "{pages} in round {round}");
            }
            // SAFETY: the same.
            unsafe { region.bring_back(&kept) };
            // SAFETY: nobody writes to it.
            assert!(unsafe { region.bytes() } == before, "in round {round}");
        }
        // SAFETY: nobody else has it.
        unsafe { region.reset(page(PAGES), &image, &dirty_pages).unwrap() };
        is_as_it_was(&region);
    }
}

#[test]
fn a_region_that_was_forgotten_is_as_it_was() {
    let (region, _) = region(false);
    write(&region, 0);
    write(&region, page(6));
    // SAFETY: nobody else has it.
    unsafe { region.forget_all().unwrap() };
    is_as_it_was(&region);
}

#[test]
fn it_has_no_more_than_was_reserved() {
    let region = Region::reserve(page(4), true).unwrap();
    assert!(region.grow_to(page(5)).is_err());
    assert!(region.grow_to(1).is_err());
    region.grow_to(page(4)).unwrap();
    assert_eq!(region.size(), page(4));
}
