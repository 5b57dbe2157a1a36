//! An attempt leads from a compiler to a version that workers can be forked for: this file does what comes after each
//! process that makes it.

use super::Roles;
use super::children::{Attempt, AttemptStage, Generation};
use super::code_files::Code;
use super::event_loop::Supervisor;
use super::policy::{Death, Event};
use super::single_task::SingleTask;
use super::step::Step;
use super::zygote::{Zygote, ZygoteTask};
use crate::cache::CodeName;
use crate::channel::CodeInfo;
use crate::exit::{Status, status_of};
use crate::sys::limits;
use crate::sys::process::End;
use crate::{log, warning};
use nix::sys::signal::Signal;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

/// An `AttemptFailure` says why a version cannot be made.
type AttemptFailure = (Status, String);

impl<R: Roles> Supervisor<R> {
    /// Hears the process that makes the next version.
    pub(super) fn listen_to_attempt(&mut self) {
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        let made = match &mut attempt.stage {
            AttemptStage::Mounting => None,
            AttemptStage::Pulling(task) => {
                task.listen();
                None
            }
            AttemptStage::Compiling(zygote) | AttemptStage::Loading(zygote) => zygote.listen(),
            AttemptStage::Stepping { step, .. } => {
                step.process.listen();
                None
            }
            AttemptStage::Priming { primer, .. } => {
                primer.process.listen();
                None
            }
        };
        if let Some(code) = made
            && let Some(attempt) = self.attempt.take()
            && let AttemptStage::Compiling(zygote) | AttemptStage::Loading(zygote) = attempt.stage
        {
            self.made(attempt.number, attempt.roles, code, Some(zygote));
        }
    }

    /// Notes that workers of the version that was asked for can be forked.
    pub(super) fn made(&mut self, number: u32, roles: Rc<R>, code: Code, zygote: Option<Zygote>) {
        let settings = Box::new(roles.settings().clone());
        let found = code.found.is_some();
        let stale = zygote.as_ref().is_some_and(|it| self.forker.is_stale(it));
        let mut generation = Generation {
            number,
            roles,
            code,
            zygote,
        };
        if stale {
            self.forker.renew_zygote(&mut generation);
        }
        self.generations.push(generation);
        self.events.push_back(Event::Compiled { settings, found });
    }

    /// Goes on after the process of an attempt has ended: the next one follows, or an event where there cannot be one.
    pub(super) fn goes_on(&mut self, attempt: Attempt<R>, death: Death) -> Option<Event> {
        let Attempt {
            number,
            roles,
            stage,
        } = attempt;
        let of_code = roles.clone();
        let found = match &stage {
            AttemptStage::Compiling(zygote) | AttemptStage::Loading(zygote) => zygote.found(),
            AttemptStage::Stepping { rest, .. } => rest.front().and_then(|code| code.found),
            AttemptStage::Priming { code, .. } => code.found,
            AttemptStage::Mounting | AttemptStage::Pulling(_) => None,
        };
        let next = match stage {
            AttemptStage::Compiling(zygote) | AttemptStage::Loading(zygote)
                if death.is_crash() && found.is_some() =>
            {
                let _ = zygote.ended();
                let why = format!("it could not be loaded: {death}");
                Err((Status::DamagedCode, why))
            }
            // No process is at it whose end this could be.
            AttemptStage::Mounting => Ok(()),
            AttemptStage::Pulling(task) => self.pulled(number, roles, task, &death),
            AttemptStage::Compiling(zygote) => self.compiled(number, roles, zygote, &death),
            AttemptStage::Stepping { step, code, rest } => {
                self.stepped(number, roles, step, code, rest, &death)
            }
            AttemptStage::Priming { primer, code } => match primer.ended(&death) {
                Ok(primed) => self.load(number, roles, Code { primed, ..code }),
                Err((_, why)) if found.is_some() && death.is_crash() => {
                    Err((Status::DamagedCode, why))
                }
                Err(failed) => Err(failed),
            },
            AttemptStage::Loading(zygote) => Err(zygote.ended().err().unwrap_or_else(|| {
                let reason = format!("what was compiled could not be loaded: {death}");
                (Status::Application, reason)
            })),
        };
        let (status, reason) = next.err()?;
        Some(match status {
            Status::DamagedCode => {
                found.iter().for_each(|name| drop_code(&*of_code, *name));
                Event::CodeDied { why: reason }
            }
            Status::NoRoom => {
                self.forker.note_lack_of_room();
                Event::NoRoom { why: reason }
            }
            _ => Event::CompileFailed { status, reason },
        })
    }

    /// Goes on when the process that pulled the component has ended.
    fn pulled(
        &mut self,
        number: u32,
        roles: Rc<R>,
        task: SingleTask,
        death: &Death,
    ) -> Result<(), AttemptFailure> {
        task.ended(death, "pulling the component did not end")?;
        let compiling = self.compiling(&*roles);
        let (stage, event) =
            compiling.map_err(|error| (status_of(&error), format!("{error:#}")))?;
        self.goes_on_with(number, roles, stage, event);
        Ok(())
    }

    /// Goes on when a compiler has ended.
    fn compiled(
        &mut self,
        number: u32,
        roles: Rc<R>,
        zygote: Zygote,
        death: &Death,
    ) -> Result<(), AttemptFailure> {
        let files = match (zygote.ended()?, death.end) {
            (Some(files), End::Exited(0)) => files,
            _ => {
                let mut reason = format!("the compiler did not finish: {death}");
                // So ends what asks for memory and gets none.
                if death.end == End::Killed(Signal::SIGABRT)
                    && let Some(remedy) = limits::of_memory()
                {
                    reason.push_str(&format!("; {remedy}"));
                }
                return Err((Status::Application, reason));
            }
        };
        let codes = files.finish();
        let mut codes = codes.map_err(|error| (Status::Internal, format!("{error:#}")))?;
        let jobs = codes.len().saturating_sub(roles.settings().jobs.len());
        let jobs = codes.split_off(jobs.max(1));
        let steps: VecDeque<Code> = codes.split_off(1).into();
        match codes.pop() {
            Some(code) => self.step_or_load(number, roles, Code { jobs, ..code }, steps, 0),
            None => Err((Status::Internal, "nothing was compiled".to_owned())),
        }
    }

    /// Goes on when a step before the start has ended.
    fn stepped(
        &mut self,
        number: u32,
        roles: Rc<R>,
        step: Step,
        code: Code,
        mut rest: VecDeque<Code>,
        death: &Death,
    ) -> Result<(), AttemptFailure> {
        let sources = &roles.settings().code.sources;
        let name = sources.get(step.index() + 1);
        let name = name.map(|path| path.display().to_string());
        let name = log::escape(&name.unwrap_or_default()).to_string();
        let of_step = rest.pop_front().and_then(|code| code.found);
        let ended = step.ended(death, &name);
        // Code that was just made is not made better by making it again.
        let ended = match ended {
            Err((_, why)) if of_step.is_some() && death.is_crash() => {
                Err((Status::DamagedCode, why))
            }
            ended => ended,
        };
        self.step_or_load(number, roles, code, rest, ended? + 1)
    }

    /// Takes the next step before the start, or goes on to what comes after the last.
    fn step_or_load(
        &mut self,
        number: u32,
        roles: Rc<R>,
        code: Code,
        rest: VecDeque<Code>,
        index: usize,
    ) -> Result<(), AttemptFailure> {
        let settings = roles.settings();
        let (stage, event) = if let Some(next) = rest.front() {
            let step = self.forker.step(&*roles, index, next);
            let step = step.map_err(|error| cannot(&error, "run a step before the start"))?;
            let limit = settings.step_time;
            let stage = AttemptStage::Stepping { step, code, rest };
            (stage, Event::Stepping { limit })
        } else if code.info.is_some_and(|info| roles.primes(info)) {
            let primer = self.forker.primer(&*roles, &code);
            let primer = primer.map_err(|error| cannot(&error, "start the application"))?;
            let limit = settings.startup;
            (
                AttemptStage::Priming { primer, code },
                Event::Priming { limit },
            )
        } else {
            return self.load(number, roles, code);
        };
        self.goes_on_with(number, roles, stage, event);
        Ok(())
    }

    /// Loads the application, as everything was done that comes before.
    fn load(&mut self, number: u32, roles: Rc<R>, code: Code) -> Result<(), AttemptFailure> {
        if !code.info.is_some_and(CodeInfo::is_large) {
            self.made(number, roles, code, None);
            return Ok(());
        }
        let limits = roles.settings().compile;
        let zygote = self.forker.zygote(&*roles, ZygoteTask::Load(code));
        let zygote = zygote.map_err(|error| cannot(&error, "load it"))?;
        let event = Event::Loading { limits };
        self.goes_on_with(number, roles, AttemptStage::Loading(zygote), event);
        Ok(())
    }

    pub(super) fn goes_on_with(
        &mut self,
        number: u32,
        roles: Rc<R>,
        stage: AttemptStage,
        event: Event,
    ) {
        self.attempt = Some(Attempt {
            number,
            roles,
            stage,
        });
        self.events.push_back(event);
    }

    /// Removes code of a version that is damaged from the cache.
    pub(super) fn drop_code(&self, number: u32) {
        let mut generations = self.generations.iter();
        let generation = generations.find(|generation| generation.number == number);
        if let Some(generation) = generation
            && let Some(name) = generation.code.found
        {
            drop_code(&*generation.roles, name);
        }
    }
}

fn cannot(error: &io::Error, what: &str) -> AttemptFailure {
    (Status::Internal, format!("cannot {what}: {error:#}"))
}

/// Removes code from the cache of a version.
fn drop_code<R: Roles>(roles: &R, name: CodeName) {
    let cache = roles.settings().code.open_cache();
    if let Err(error) = cache.and_then(|cache| cache.remove(name)) {
        warning!("damaged code stays in the cache: {error:#}");
    }
}
