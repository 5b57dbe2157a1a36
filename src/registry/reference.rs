//! A `Reference` names an artifact: `oci://HOST[:PORT]/NAME[:TAG][@DIGEST]`, as the distribution specification has
//! names and tags.

use super::digest::Digest;
use anyhow::{Result, bail};
use http::uri::Authority;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

const SCHEME: &str = "oci://";

/// The specification knows no longer name than this.
const LONGEST_NAME: usize = 255;
/// The specification knows no longer tag than this.
const LONGEST_TAG: usize = 128;

/// Says whether somebody has named an artifact of a registry, and not a file.
pub fn is_reference(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.starts_with(SCHEME))
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The host has its port, where one was given.
    pub host: String,
    pub name: String,
    pub version: TagOrDigest,
}

/// A `TagOrDigest` says which of the artifacts of a name is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagOrDigest {
    /// The artifact is whichever has this tag now.
    Tag(String),
    /// The one whose manifest has this digest.
    Digest(Digest),
}

impl Reference {
    /// Returns the end of the path of its manifest.
    pub fn version(&self) -> String {
        match &self.version {
            TagOrDigest::Tag(tag) => tag.clone(),
            TagOrDigest::Digest(digest) => digest.to_string(),
        }
    }

    /// Returns the same name by the digest of its manifest.
    pub fn pinned(&self, digest: Digest) -> Reference {
        Reference {
            version: TagOrDigest::Digest(digest),
            ..self.clone()
        }
    }
}

impl FromStr for Reference {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Reference> {
        let Some(rest) = text.strip_prefix(SCHEME) else {
            bail!("it does not begin with `{SCHEME}`; write it like {SCHEME}registry/name:tag");
        };
        let Some((host, rest)) = rest.split_once('/') else {
            bail!("it names no artifact; write it like {SCHEME}registry/name:tag");
        };
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse::<Digest>()?)),
            None => (rest, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) => (name, Some(tag)),
            None => (rest, None),
        };
        check_host(host)?;
        check_name(name)?;
        tag.map_or(Ok(()), check_tag)?;
        let version = match digest {
            // It says more than the tag.
            Some(digest) => TagOrDigest::Digest(digest),
            None => TagOrDigest::Tag(tag.unwrap_or("latest").to_owned()),
        };
        Ok(Reference {
            host: host.to_owned(),
            name: name.to_owned(),
            version,
        })
    }
}

/// Refuses what is no host with a port or without.
pub fn check_host(host: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
    let is_host = host.parse::<Authority>().is_ok_and(|it| {
        let name = it.host();
        !name.is_empty() && (name.len() == host.len() || it.port_u16().is_some())
    });
    match is_host && host.chars().all(plain) {
        true => Ok(()),
        false => bail!(
            "`{}` is no host; write it like registry.lan:5000",
            host.escape_default()
        ),
    }
}

fn check_name(name: &str) -> Result<()> {
    let part = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let ends = part.bytes().next().zip(part.bytes().last());
        ends.is_some_and(|(first, last)| plain(first) && plain(last))
            && part
                .bytes()
                .all(|byte| plain(byte) || b"._-".contains(&byte))
    };
    match name.len() <= LONGEST_NAME && name.split('/').all(part) {
        true => Ok(()),
        false => bail!(
            "`{}` cannot be a name in a registry; it has small letters, digits, `.`, `_`, `-` and `/`",
            name.escape_default()
        ),
    }
}

fn check_tag(tag: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let begins = !tag.starts_with(['.', '-']);
    match !tag.is_empty() && tag.len() <= LONGEST_TAG && begins && tag.bytes().all(plain) {
        true => Ok(()),
        false => bail!("`{}` cannot be a tag", tag.escape_default()),
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reference { host, name, .. } = self;
        match &self.version {
            TagOrDigest::Tag(tag) => write!(f, "{SCHEME}{host}/{name}:{tag}"),
            TagOrDigest::Digest(digest) => write!(f, "{SCHEME}{host}/{name}@{digest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PINNED: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_reference_is_read_and_written_as_people_write_it() {
        for (text, shown) in [
            ("oci://ghcr.io/a/b:1.0", "oci://ghcr.io/a/b:1.0".to_owned()),
            (
                "oci://localhost:5000/app",
                "oci://localhost:5000/app:latest".to_owned(),
            ),
            (
                "oci://[::1]:5000/a_b-c/d.e:V1",
                "oci://[::1]:5000/a_b-c/d.e:V1".to_owned(),
            ),
            (
                &format!("oci://h/app@{PINNED}"),
                format!("oci://h/app@{PINNED}"),
            ),
            (
                &format!("oci://h/app:1@{PINNED}"),
                format!("oci://h/app@{PINNED}"),
            ),
        ] {
            assert_eq!(
                text.parse::<Reference>().unwrap().to_string(),
                shown,
                "{text}"
            );
        }
    }

    #[test]
    fn what_could_lead_elsewhere_is_no_reference() {
        for text in [
            "oci://",
            "oci://host",
            "oci:///name",
            "oci://host/",
            "oci://host/../x",
            "oci://host/a//b",
            "oci://host/A",
            "oci://host/a?b",
            "oci://host/a:",
            "oci://host/a:b c",
            "oci://host/a:-b",
            "oci://me:pass@host/a",
            "oci://host:/a",
            "oci://host:port/a",
            "oci://host/a@sha256:12",
            "oci://ho\nst/a",
            "http://host/a",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }
}
