//! `RunAs` is the user that everything beneath the supervisor runs as.

use super::reach;
use crate::sys::privileges::drop_regainable_capabilities;
use anyhow::{Context, Result, bail};
use nix::sys::prctl;
use nix::unistd::{
    Gid, Group, Uid, User, getegid, geteuid, getgid, getgrouplist, getuid, setgroups, setresgid,
    setresuid,
};
use std::ffi::CString;
use std::fs::Metadata;

/// `RunAs` is a user with his groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunAs {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl RunAs {
    /// Looks a user and a group up, by their names or numbers; none where neither is named.
    pub fn resolve(user: Option<&str>, group: Option<&str>) -> Result<Option<RunAs>> {
        if user.is_none() && group.is_none() {
            return Ok(None);
        }
        let group = group.map(find_group).transpose()?;
        let run_as = match user {
            Some(user) => RunAs::of_user(user, group)?,
            None => RunAs::new(getuid(), group.unwrap_or_else(getgid), Vec::new()),
        };
        if !run_as.is_ours() && !geteuid().is_root() {
            bail!(
                "only root can run workers as somebody else; start wasmserve as root, or as that user and without \
                 the option"
            );
        }
        Ok(Some(run_as))
    }

    fn of_user(name: &str, group: Option<Gid>) -> Result<RunAs> {
        let known = match name.parse() {
            Ok(number) => User::from_uid(Uid::from_raw(number)),
            Err(_) => User::from_name(name),
        };
        let known = known.with_context(|| format!("user `{name}` cannot be looked up"))?;
        match (known, name.parse(), group) {
            (Some(user), _, group) => {
                let gid = group.unwrap_or(user.gid);
                let name = CString::new(user.name)?;
                Ok(RunAs::new(user.uid, gid, getgrouplist(&name, gid)?))
            }
            (None, Ok(number), Some(group)) => {
                Ok(RunAs::new(Uid::from_raw(number), group, Vec::new()))
            }
            (None, Ok(_), None) => {
                bail!("user {name} has no entry in the user database; name a group too (--group)")
            }
            (None, Err(_), _) => bail!("there is no user `{name}`"),
        }
    }

    fn new(uid: Uid, gid: Gid, mut groups: Vec<Gid>) -> RunAs {
        if !groups.contains(&gid) {
            groups.push(gid);
        }
        RunAs { uid, gid, groups }
    }

    pub fn uid(&self) -> u32 {
        self.uid.as_raw()
    }

    /// Says whether this user may do this with a file or a directory, by its permissions (`READ` and the like).
    pub fn may(&self, metadata: &Metadata, need: u32) -> bool {
        reach::may(metadata, self.uid, &self.groups, need)
    }

    #[cfg(test)]
    pub fn gid(&self) -> u32 {
        self.gid.as_raw()
    }

    pub(super) fn user(&self) -> Uid {
        self.uid
    }

    pub(super) fn groups(&self) -> &[Gid] {
        &self.groups
    }

    fn is_ours(&self) -> bool {
        [getuid(), geteuid()] == [self.uid; 2] && [getgid(), getegid()] == [self.gid; 2]
    }

    /// Makes this process the user's, for good.
    pub(super) fn assume(&self) -> Result<()> {
        if self.is_ours() {
            return Ok(());
        }
        let RunAs { uid, gid, groups } = self;
        // Who becomes somebody else forgets it (PR_SET_PDEATHSIG(2const)).
        let dies_with_parent = prctl::get_pdeathsig().ok().flatten();
        // Later it may not.
        drop_regainable_capabilities();
        setgroups(groups).context("groups cannot be given up")?;
        setresgid(*gid, *gid, *gid).with_context(|| format!("this cannot become group {gid}"))?;
        setresuid(*uid, *uid, *uid).with_context(|| format!("this cannot become user {uid}"))?;
        if !uid.is_root() && setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_ok()
        {
            bail!("this can become root again");
        }
        prctl::set_pdeathsig(dies_with_parent)?;
        Ok(())
    }
}

fn find_group(name: &str) -> Result<Gid> {
    if let Ok(number) = name.parse() {
        return Ok(Gid::from_raw(number));
    }
    let known =
        Group::from_name(name).with_context(|| format!("group `{name}` cannot be looked up"))?;
    known
        .map(|group| group.gid)
        .with_context(|| format!("there is no group `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_found_by_name_and_number() {
        assert_eq!(RunAs::resolve(None, None).unwrap(), None);
        let own = getuid().as_raw().to_string();
        let own = RunAs::resolve(Some(&own), Some(&getgid().as_raw().to_string()));
        assert_eq!(own.unwrap().unwrap().uid(), getuid().as_raw());
        let mistake = |user, group| format!("{:#}", RunAs::resolve(user, group).unwrap_err());
        assert!(mistake(Some("no such user"), None).contains("there is no user"));
        assert!(mistake(None, Some("no such group")).contains("there is no group"));
        if geteuid().is_root() {
            assert!(mistake(Some("3999999"), None).contains("--group"));
            let alone = RunAs::resolve(Some("3999999"), Some("3999998"));
            let alone = alone.unwrap().unwrap();
            assert_eq!((alone.uid(), alone.gid()), (3_999_999, 3_999_998));
        } else {
            assert!(mistake(Some("0"), None).contains("only root"));
        }
    }
}
