//! The store's four verbs on one record, without time: a lease is either valid or over.

/// Every attempt has its own owner, and a second one after it gave something back.
pub type Owner = u8;

/// The owner of any crashed process.
pub const DEAD: Owner = Owner::MAX;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Record {
    #[default]
    Absent,
    Running {
        owner: Owner,
        leased: bool,
    },
    Retryable,
    Completed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Claimed {
    Acquired,
    InProgress,
    Completed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    Done,
    Lost,
}

/// A possible defect, in the store or in its users. The search must find each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    // Defects of the store.
    UnfencedRelease,
    CompareAndSetComplete,
    CallersClock,
    EvictionInProgress,
    RetentionOfThePastTolerance,
    // Defects of the program.
    SuccessWhileInProgress,
    EarlyAcknowledgement,
    IdOnlyKey,
    DeliveryCompletedFirst,
    TagCompletedWhereTheIdIsTaken,
    SameOwnerAfterGivingBack,
    NoSecondLookAfterASlowClaim,
    TestRunWithoutAKey,
    RunKeyKeptWhereTheIdIsTaken,
    TestIdsAmongThoseOfDeliveries,
}

impl Record {
    pub fn claim(&mut self, owner: Owner, defect: Option<Defect>) -> Claimed {
        // Every second caller has a fast clock, by which each lease is over.
        let fast = defect == Some(Defect::CallersClock) && owner % 4 >= 2;
        match *self {
            Self::Completed => Claimed::Completed,
            Self::Running { owner: holder, leased: true } if holder != owner && !fast => {
                Claimed::InProgress
            }
            _ => {
                *self = Self::Running { owner, leased: true };
                Claimed::Acquired
            }
        }
    }

    pub fn renew(&mut self, owner: Owner) -> Settled {
        if !self.is_held_by(owner) {
            return Settled::Lost;
        }
        *self = Self::Running { owner, leased: true };
        Settled::Done
    }

    pub fn complete(&mut self, owner: Owner, defect: Option<Defect>) -> Settled {
        let held = self.is_held_by(owner);
        if held || defect != Some(Defect::CompareAndSetComplete) {
            *self = Self::Completed;
        }
        if held { Settled::Done } else { Settled::Lost }
    }

    pub fn release(&mut self, owner: Owner, defect: Option<Defect>) -> Settled {
        let any = defect == Some(Defect::UnfencedRelease) && matches!(self, Self::Running { .. });
        if !any && !self.is_held_by(owner) {
            return Settled::Lost;
        }
        *self = Self::Retryable;
        Settled::Done
    }

    /// The lease ends without an action of its owner.
    pub fn expire(&mut self) {
        if let Self::Running { leased, .. } = self {
            *leased = false;
        }
    }

    fn is_held_by(&self, owner: Owner) -> bool {
        matches!(self, Self::Running { owner: holder, .. } if *holder == owner)
    }
}
