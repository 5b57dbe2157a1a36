//! An instance consists of one part, or of several where its component is composed of others: each part has functions
//! that were added to it, which save and restore its state.

use super::instrument::{self, MOST_PARTS, part_name};
use super::primed::Global;
use super::{Handle, ServiceHandle};
use std::borrow::Cow;
use wasmtime::component::{ComponentNamedList, Instance, Lift, Lower, TypedFunc};
use wasmtime::{Result, Store};

/// `Parts` are those of one instance. The first is the application, what is in front of it comes later.
pub struct Parts {
    instance: Instance,
    parts: Vec<Part>,
}

struct Part {
    /// A part of a composed component has this number.
    number: Option<usize>,
    restore: TypedFunc<(), ()>,
    order: TypedFunc<(u32, u64), ()>,
    /// These do the same as `restore` and then answer a request, where the part does that.
    handle: Option<Handle>,
    service: Option<ServiceHandle>,
    /// They also put the numbers of handles in order that are expected by this.
    expect: Option<TypedFunc<(u64,), ()>>,
}

impl Part {
    fn of(
        instance: &Instance,
        store: &mut Store<impl Send>,
        number: Option<usize>,
    ) -> Result<Part> {
        let handle = name(instrument::HANDLE, number);
        let in_order = name(instrument::HANDLE_IN_ORDER, number);
        let in_order = instance.get_export_index(&mut *store, None, &in_order);
        let handle = in_order.or_else(|| instance.get_export_index(&mut *store, None, &handle));
        let expect = name(instrument::EXPECT, number);
        Ok(Part {
            number,
            restore: instance.get_typed_func(&mut *store, &*name(instrument::RESTORE, number))?,
            order: instance.get_typed_func(&mut *store, &*name(instrument::ORDER, number))?,
            handle: handle.and_then(|it| instance.get_typed_func(&mut *store, it).ok()),
            service: handle.and_then(|it| instance.get_typed_func(&mut *store, it).ok()),
            expect: instance.get_typed_func(&mut *store, &*expect).ok(),
        })
    }

    /// Says whether the part restores itself when it is asked for an answer.
    fn answers(&self) -> bool {
        self.handle.is_some() || self.service.is_some()
    }
}

fn name(own: &'static str, number: Option<usize>) -> Cow<'static, str> {
    match number {
        Some(number) => part_name(own, number).into(),
        None => own.into(),
    }
}

impl Parts {
    /// Finds the parts of an instance.
    pub fn of(instance: Instance, store: &mut Store<impl Send>) -> Result<Parts> {
        let mut parts = Vec::new();
        let numbers = std::iter::once(None).chain((0..=MOST_PARTS).map(Some));
        for number in numbers {
            let save = name(instrument::SAVE, number);
            if instance
                .get_export_index(&mut *store, None, &save)
                .is_some()
            {
                parts.push(Part::of(&instance, store, number)?);
            }
        }
        wasmtime::ensure!(!parts.is_empty(), "it has nothing that restores it");
        Ok(Parts { instance, parts })
    }

    pub fn count(&self) -> usize {
        self.parts.len()
    }

    /// Has each part save its state.
    pub async fn save(&self, store: &mut Store<impl Send>) -> Result<()> {
        self.tell_all(store, instrument::SAVE).await
    }

    /// Has the C library of each part forget the directories that it was given.
    pub async fn release_directories(&self, store: &mut Store<impl Send>) -> Result<()> {
        self.tell_all(store, instrument::RELEASE).await
    }

    async fn tell_all(&self, store: &mut Store<impl Send>, own: &'static str) -> Result<()> {
        for part in &self.parts {
            let function: TypedFunc<(), ()> = self
                .instance
                .get_typed_func(&mut *store, &*name(own, part.number))?;
            function.call_async(&mut *store, ()).await?;
        }
        Ok(())
    }

    /// Restores the state of each part.
    pub async fn restore(&self, store: &mut Store<impl Send>) -> Result<()> {
        for part in &self.parts {
            part.restore.call_async(&mut *store, ()).await?;
        }
        Ok(())
    }

    /// Restores the state of those parts that do not so themselves when they answer.
    pub async fn restore_others(&self, store: &mut Store<impl Send>) -> Result<()> {
        for part in self.parts.iter().filter(|part| !part.answers()) {
            part.restore.call_async(&mut *store, ()).await?;
        }
        Ok(())
    }

    pub fn handle(&self) -> Option<Handle> {
        self.parts.iter().find_map(|part| part.handle)
    }

    pub fn service(&self) -> Option<ServiceHandle> {
        self.parts.iter().find_map(|part| part.service)
    }

    /// Has the engine give out the numbers of handles in one part from the first again, up to `count`. Those that are
    /// the bits of `standing` stay in use.
    pub async fn order(
        &self,
        part: usize,
        store: &mut Store<impl Send>,
        count: u32,
        standing: u64,
    ) -> Result<()> {
        let order = self.parts[part].order;
        order.call_async(store, (count, standing)).await
    }

    /// Returns the function that says which numbers of handles are expected to be free when a request was answered, where
    /// they are put in order then: all of them, as there is one part.
    pub fn expect(&self) -> Option<TypedFunc<(u64,), ()>> {
        match &*self.parts {
            [part] => part.expect,
            _ => None,
        }
    }

    /// Reads the globals of all parts, one after the other.
    pub async fn globals(&self, store: &mut Store<impl Send>) -> Result<Vec<u64>> {
        let mut globals = Vec::new();
        for part in &self.parts {
            let (read, count) = self.reader(store, part).await?;
            for number in 0..count {
                globals.push(read.call_async(&mut *store, (number,)).await?.0);
            }
        }
        Ok(globals)
    }

    /// Has the parts restore these globals to these values from here on, which have numbers as they are read.
    pub async fn set_globals(
        &self,
        store: &mut Store<impl Send>,
        globals: &[Global],
    ) -> Result<()> {
        let (mut first, mut written) = (0, 0);
        for part in &self.parts {
            let (_, count) = self.reader(store, part).await?;
            let name = name(instrument::WRITE, part.number);
            let write: TypedFunc<(u32, u64), ()> =
                self.instance.get_typed_func(&mut *store, &*name)?;
            let own = globals
                .iter()
                .filter(|(number, _)| (first..first + count).contains(number));
            for (number, value) in own {
                write
                    .call_async(&mut *store, (number - first, *value))
                    .await?;
                written += 1;
            }
            first += count;
        }
        wasmtime::ensure!(
            written == globals.len(),
            "it has other globals than the snapshot has"
        );
        Ok(())
    }

    /// Finds the function that reads globals of a part, and counts them.
    async fn reader(
        &self,
        store: &mut Store<impl Send>,
        part: &Part,
    ) -> Result<(TypedFunc<(u32,), (u64,)>, u32)> {
        let name = name(instrument::READ, part.number);
        let read: TypedFunc<(u32,), (u64,)> = self.instance.get_typed_func(&mut *store, &*name)?;
        let (count,) = read.call_async(&mut *store, (instrument::COUNT,)).await?;
        Ok((read, u32::try_from(count)?))
    }

    /// Finds a function of the application's.
    pub fn of_application<P, R>(
        &self,
        store: &mut Store<impl Send>,
        own: &'static str,
    ) -> Result<TypedFunc<P, R>>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let number = self.parts.first().and_then(|part| part.number);
        self.instance.get_typed_func(store, &*name(own, number))
    }
}
