//! The supervisor keeps the admin process here: it is forked when somebody connects to its sockets, or at once where it is to
//! be there always, replaced when it has ended, and obeyed within bounds.

use super::event_loop::Supervisor;
use super::forker::{fork_child, told};
use super::mounts::Mounts;
use super::policy::Event;
use super::{ChildTask, Roles, Sockets};
use crate::channel::{
    AdminCommand, AdminOrder, CommandReceiver, CommandSender, Garbage, command_channel,
};
use crate::scoreboard::Scoreboard;
use crate::sys::socket::has_arrivals;
use crate::sys::{clock, process};
use crate::{debug, error, warning};
use nix::poll::{PollFd, poll};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Another process may be forked this long after one was.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// The process may take this long to end with the server, which is looked for this often, in milliseconds.
const LAST: Duration = Duration::from_millis(600);
const GLANCE: u8 = 2;

/// This many commands are carried out at a time.
const MOST: usize = 16;

/// An `AdminContext` is what the admin process is given.
pub struct AdminContext {
    pub scoreboard: Rc<Scoreboard>,
    pub commands: CommandSender,
    /// These are the scoreboards of what is mounted, by the names of the mounts.
    pub mounts: Vec<(String, Rc<Scoreboard>)>,
}

/// An `Admin` is what the supervisor keeps of the admin process.
pub struct Admin {
    /// These are its sockets, by descriptors of the supervisor's own.
    sockets: Vec<OwnedFd>,
    process: Option<AdminProcess>,
    /// Another process may be forked at this time, in milliseconds of `sys::clock`.
    next_ms: u64,
    /// This many commands were carried out that the policy has heard of.
    obeyed: u32,
}

struct AdminProcess {
    pid: Pid,
    commands: CommandReceiver,
    /// What is mounted had changed this often when the process was forked.
    mounts: u32,
    /// The process was told of these mounts.
    named: Vec<String>,
}

impl Admin {
    pub fn new<R: Roles>(roles: &R) -> Admin {
        Admin {
            sockets: roles.admin_sockets().borrow().duplicates(),
            process: None,
            next_ms: 0,
            obeyed: 0,
        }
    }

    pub fn pid(&self) -> Option<Pid> {
        self.process.as_ref().map(|running| running.pid)
    }

    /// Returns what to wait for: the process's commands, or, where there is no process, somebody who connects.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let process = self.process.iter();
        let commands = process.filter_map(|it| it.commands.open_descriptor());
        let waits = self.process.is_none() && clock::now_ms() >= self.next_ms;
        let sockets = self.sockets.iter().filter(move |_| waits);
        commands.chain(sockets.map(AsFd::as_fd))
    }

    /// Notes that a process was reaped, and says whether it was this one.
    pub fn ended(&mut self, pid: Pid) -> bool {
        self.process.take_if(|running| running.pid == pid).is_some()
    }

    pub fn kill(&mut self) {
        if let Some(running) = self.process.take() {
            process::signal(running.pid, Signal::SIGKILL);
        }
    }

    /// Ends the process, and reaps it: nothing is left of a server that has ended. Whoever follows the log has its
    /// last lines before.
    pub fn finish(&mut self) {
        let Some(AdminProcess { pid, commands, .. }) = self.process.take() else {
            return;
        };
        // This tells it that the server ends.
        drop(commands);
        let deadline = Instant::now() + LAST;
        while Instant::now() < deadline {
            if process::ended(pid).is_some() {
                return;
            }
            let mut polled: [PollFd<'_>; 0] = [];
            let _ = poll(&mut polled, GLANCE);
        }
        process::kill_and_reap(pid);
    }

    /// Returns how many commands were carried out since this was asked last.
    pub fn take_obeyed(&mut self) -> u32 {
        std::mem::take(&mut self.obeyed)
    }
}

impl<R: Roles> Supervisor<R> {
    /// Has an admin process where one is needed, and does what it says.
    pub(super) fn look_after_admin(&mut self) {
        self.read_commands();
        self.renew_admin();
        let (admin, now) = (&self.admin, clock::now_ms());
        let may = admin.process.is_none() && self.exit.is_none() && now >= admin.next_ms;
        let wanted = || {
            let mut sockets = admin.sockets.iter();
            self.roles.has_admin_always() || sockets.any(|it| has_arrivals(it.as_fd()))
        };
        if admin.sockets.is_empty() || !may || !wanted() {
            return;
        }
        self.admin.next_ms = now + PAUSE.as_millis() as u64;
        match fork(&*self.roles, &self.forker.scoreboard, &self.mounts) {
            Ok(running) => self.admin.process = Some(running),
            Err(error) => warning!("cannot start the admin process: {error}"),
        }
    }

    /// Lets the process come to its end where it does not know what is mounted now, once the command is answered that
    /// has changed it.
    fn renew_admin(&mut self) {
        let (changes, changed_ms) = self.mounts.scoreboards.changes();
        let is_stale = |it: &mut AdminProcess| it.mounts != changes;
        let has_settled = clock::now_ms() >= changed_ms + PAUSE.as_millis() as u64;
        if changes > 0 && has_settled && !self.policy.report().versions.changing {
            self.admin.process.take_if(is_stale);
        }
    }

    fn read_commands(&mut self) {
        let roles = self.roles.clone();
        let passed_on = || roles.orders().and_then(CommandReceiver::receive);
        while let Some(Ok(order)) = passed_on() {
            self.obey(order);
        }
        for _ in 0..MOST {
            let process = self.admin.process.as_ref();
            match process.and_then(|running| running.commands.receive()) {
                None => return,
                Some(Ok(order)) => self.obey(order),
                Some(Err(Garbage)) => {
                    error!("the admin process sent what cannot be understood, and is replaced");
                    return self.admin.kill();
                }
            }
        }
    }

    fn obey(&mut self, AdminOrder { command, mount }: AdminOrder) {
        debug!("the admin process asks for {command:?}");
        if let Some(index) = mount {
            let process = self.admin.process.as_ref();
            let name = process.and_then(|it| it.named.get(usize::from(index)));
            return match name {
                Some(name) => self.mounts.pass_on(name, command),
                None => warning!("the admin process means a mount that it was not told of"),
            };
        }
        if let AdminCommand::Profile(request) = command {
            let table = self.forker.scoreboard.table();
            table.ask_profile(request.to_number());
        }
        if command == AdminCommand::Reload {
            self.mounts.ask_reload();
        }
        self.events.extend(event(command));
        self.admin.obeyed += 1;
    }
}

/// Says what the policy hears of a command; nothing where it has no say.
fn event(command: AdminCommand) -> Option<Event> {
    Some(match command {
        AdminCommand::Reload => Event::Reload,
        AdminCommand::ReloadCanary => Event::ReloadCanary,
        AdminCommand::Promote => Event::Promote,
        AdminCommand::RollBack => Event::RollBack,
        AdminCommand::Scale(range) => Event::Scale(range),
        AdminCommand::Restart(pid) => Event::Restart { pid },
        AdminCommand::Stop => Event::StopOnce,
        AdminCommand::Profile(_) => return None,
    })
}

fn fork<R: Roles>(
    roles: &R,
    scoreboard: &Rc<Scoreboard>,
    mounts: &Mounts,
) -> io::Result<AdminProcess> {
    let (commands, sender) = command_channel()?;
    let mut kept = roles.admin_sockets().borrow().descriptors();
    kept.push(sender.descriptor());
    kept.extend(
        mounts
            .scoreboards
            .iter()
            .map(|(_, (memory, _))| memory.as_raw_fd()),
    );
    let restrict = || scoreboard.give_up();
    let pid = fork_child(&kept, restrict, || {
        process::die_with_parent();
        process::call(c"admin");
        let mounts = match of_mounts(mounts) {
            Ok(mounts) => mounts,
            Err(error) => return told(Err(error.into()), "admin process"),
        };
        let context = AdminContext {
            scoreboard: scoreboard.clone(),
            commands: sender,
            mounts,
        };
        told(roles.run(ChildTask::Administer(context)), "admin process")
    })?;
    let (changes, _) = mounts.scoreboards.changes();
    let named = mounts.scoreboards.iter().map(|(name, _)| name.clone());
    Ok(AdminProcess {
        pid,
        commands,
        mounts: changes,
        named: named.collect(),
    })
}

/// Maps the scoreboards of what is mounted, to be read.
fn of_mounts(mounts: &Mounts) -> io::Result<Vec<(String, Rc<Scoreboard>)>> {
    let mapped = mounts.scoreboards.iter().map(|(name, (memory, layout))| {
        let scoreboard = Scoreboard::adopt(memory.try_clone()?, layout)?;
        scoreboard.give_up()?;
        Ok((name.to_owned(), Rc::new(scoreboard)))
    });
    mapped.collect()
}
