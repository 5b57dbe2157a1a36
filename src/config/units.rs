//! Durations, sizes and counts are written like this on the command line and in the environment.
//!
//! It is our own, as a bare number means seconds or bytes, as in the servers that people come from; humantime refuses
//! those, and bytesize takes `64K` for 64,000 bytes.

use anyhow::{Context, Result, bail, ensure};
use std::time::Duration;

/// Parses `300ms`, `5s`, `2m`, `1h`; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration> {
    let (number, unit) = split(text);
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => bail!("`{text}` is not a duration; write it like 300ms, 5s or 2m"),
    };
    let number: f64 = number
        .parse()
        .with_context(|| format!("`{text}` is not a duration; write it like 300ms, 5s or 2m"))?;
    Duration::try_from_secs_f64(number * seconds).with_context(|| format!("`{text}` is too long"))
}

/// Parses `64MiB`, `64MB`; a bare number is bytes.
pub fn size(text: &str) -> Result<u64> {
    let (number, unit) = split(text);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "k" | "ki" | "kib" => 1 << 10,
        "m" | "mi" | "mib" => 1 << 20,
        "g" | "gi" | "gib" => 1 << 30,
        _ => bail!("`{text}` is not a size; write it like 64MiB or 64MB"),
    };
    let number: u64 = number
        .parse()
        .with_context(|| format!("`{text}` is not a size; write it like 64MiB or 64MB"))?;
    number
        .checked_mul(factor)
        .with_context(|| format!("`{text}` is too large"))
}

/// Parses a whole number of at least one.
pub fn positive(text: &str) -> Result<u32> {
    match text.parse::<u32>() {
        Ok(0) => bail!("it is 0; it must be at least 1"),
        Ok(number) => Ok(number),
        Err(_) => bail!("`{text}` is not a whole number"),
    }
}

/// Parses a duration in which something can happen.
pub fn some_time(text: &str) -> Result<Duration> {
    let time = duration(text)?;
    ensure!(
        !time.is_zero(),
        "it is 0, in which nothing can be done; write how long, or what is never reached, like 30d"
    );
    Ok(time)
}

/// Parses a size of which there is something.
pub fn some_size(text: &str) -> Result<u64> {
    let size = size(text)?;
    ensure!(
        size > 0,
        "it is 0, with which nothing can be done; write it like 64MiB"
    );
    Ok(size)
}

/// Parses `660`: permission bits in octal, as chmod has them.
pub fn permissions(text: &str) -> Result<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let octal = !digits.is_empty() && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    match u32::from_str_radix(digits, 8) {
        Ok(bits) if octal && bits <= 0o777 => Ok(bits),
        _ => bail!("`{text}` is not a mode; write it like 660"),
    }
}

fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let read = |text| duration(text).unwrap().as_millis();
        assert_eq!(
            ["300ms", "5s", "5", "2m", "1.5h"].map(read),
            [300, 5000, 5000, 120_000, 5_400_000]
        );
        for wrong in ["", "s", "-1s", "5 parsecs", "1e9"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let read = |text| size(text).unwrap();
        assert_eq!(
            ["64MiB", "64MB", "64", "1g"].map(read),
            [64 << 20, 64_000_000, 64, 1 << 30]
        );
        for wrong in ["", "MiB", "-1", "64 lightyears", "99999999999999999999"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn permissions_are_octal() {
        assert_eq!(permissions("660").unwrap(), 0o660);
        assert_eq!(permissions("0o600").unwrap(), 0o600);
        for text in ["", "8", "1777", "-6", "+6", "rw"] {
            assert!(permissions(text).is_err(), "{text}");
        }
    }
}
