//! Push campaigns and their shards.

use std::time::Duration;

use schemas::{
    PushId, Timestamp, UserId,
    push::{
        Audience, Cursor, PushCampaign, PushMessage, PushOrder, PushShard, PushTarget, PushTargets,
        Segment, Tally,
    },
};
use store::{Insert, Save};

use crate::{
    place::Place,
    sample::{at, user},
};

fn campaign(owner: UserId) -> PushCampaign {
    let order = PushOrder {
        app: "com.example.notes".parse().unwrap(),
        name: Some("news".to_owned()),
        environment: None,
        messages: Vec::new(),
        audience: Audience::Segment(Segment::default()),
        start_at: at(0),
        expires_at: at(60),
        rate: Some(5),
    };
    PushCampaign::of(&order, PushId::generate(), owner, at(0))
}

fn targets(campaign: &PushCampaign, seq: u32, count: u32) -> PushTargets {
    let target = |number: u32| PushTarget {
        token: format!("{number:08x}").parse().unwrap(),
        user: user(7),
        message: 0,
    };
    PushTargets {
        id: PushTargets::id_of(campaign.id, seq),
        owner: campaign.owner,
        version: 1,
        campaign: campaign.id,
        seq,
        app: campaign.app.clone(),
        first: 0,
        next: Some(Cursor::Listed(3)),
        messages: vec![PushMessage {
            push_type: "alert".to_owned(),
            priority: Some(10),
            expiration: None,
            collapse_id: None,
            topic: None,
            payload: "{\"$a.b\":18446744073709551615,\"\\u0000\":1}".to_owned(),
            repeat: false,
        }],
        targets: (0..count).map(target).collect(),
    }
}

pub(crate) async fn a_campaign_lives_and_is_its_owners(place: &Place) {
    let pushes = &place.store.pushes;
    let mine = campaign(user(7));
    assert_eq!(pushes.insert(&mine).await, Ok(Insert::Stored));
    assert_eq!(pushes.insert(&mine).await, Ok(Insert::Taken));
    assert_eq!(pushes.insert(&campaign(user(8))).await, Ok(Insert::Stored));

    let paused = mine.clone().pause("owner", at(1)).unwrap().unwrap();
    assert_eq!(pushes.save(&paused).await, Ok(Save::Stored));
    assert_eq!(pushes.save(&mine.clone().start("w", at(1)).unwrap()).await, Ok(Save::Stale));
    assert_eq!(pushes.get_owned(user(7), mine.id).await.unwrap(), Some(paused.clone()));
    assert_eq!(pushes.get_owned(user(8), mine.id).await.unwrap(), None);
    assert_eq!(pushes.get(mine.id).await.unwrap(), Some(paused.clone()));
    assert_eq!(pushes.list(Some(user(7)), None, 9).await.unwrap(), std::slice::from_ref(&paused));
    assert_eq!(pushes.list(Some(user(7)), Some(mine.id), 9).await.unwrap(), []);
    assert_eq!(pushes.list(None, None, 9).await.unwrap().len(), 2);

    let reasons = [("A.b".to_owned(), 2)].into();
    let sums = Tally { shards: 1, lost: 1, reasons, repeated: 1, ..Tally::default() };
    let ended = paused.settle(sums, "w", at(9));
    assert_eq!(pushes.save(&ended.unwrap()).await, Ok(Save::Stored));
    // A shard that was given up is kept, for somebody to go on, and goes with its campaign.
    let devices = targets(&mine, 0, 3);
    assert_eq!(pushes.insert_targets(&devices).await, Ok(Insert::Stored));
    assert_eq!(pushes.insert_shard(&PushShard::new(&devices)).await, Ok(Insert::Stored));
    assert_eq!(pushes.remove_settled(at(9), 9).await, Ok(0));
    assert_eq!(pushes.remove_settled(at(10), 9).await, Ok(1));
    assert_eq!(pushes.get(mine.id).await.unwrap(), None);
    assert_eq!(pushes.forget(user(7), mine.id, 9).await, Ok(0));
}

pub(crate) async fn shards_are_summed_found_open_and_forgotten(place: &Place) {
    let pushes = &place.store.pushes;
    let (mine, other) = (campaign(user(7)), campaign(user(7)));
    assert_eq!(pushes.last_targets(user(7), mine.id).await.unwrap(), None);
    let stored = targets(&mine, 0, 3);
    for seq in 0..3 {
        let devices = targets(&mine, seq, 3);
        assert_eq!(pushes.insert_targets(&devices).await, Ok(Insert::Stored));
        assert_eq!(pushes.insert_shard(&PushShard::new(&devices)).await, Ok(Insert::Stored));
    }
    let devices = targets(&other, 0, 5);
    assert_eq!(pushes.insert_targets(&devices).await, Ok(Insert::Stored));
    assert_eq!(pushes.insert_shard(&PushShard::new(&devices)).await, Ok(Insert::Stored));
    assert_eq!(pushes.insert_targets(&stored).await, Ok(Insert::Taken), "the first ones stay");
    assert_eq!(pushes.targets(user(7), mine.id, 0).await.unwrap(), Some(stored));
    assert_eq!(pushes.targets(user(8), mine.id, 0).await.unwrap(), None);
    let last = pushes.last_targets(user(7), mine.id).await.unwrap();
    assert_eq!(last.map(|last| last.seq), Some(2));

    let mut done = pushes.shard(user(7), mine.id, 1).await.unwrap().unwrap();
    done.accepted(0);
    done.refused(1, "Unregistered");
    done.lost(2, false, Timestamp::now(), Duration::ZERO);
    done.turn();
    assert_eq!(pushes.save_shard(&done).await, Ok(Save::Stored));
    assert_eq!(pushes.save_shard(&done).await, Ok(Save::Stale));
    let open = pushes.open_shards(user(7), mine.id, None, 9).await.unwrap();
    assert_eq!(open.iter().map(|shard| shard.seq).collect::<Vec<_>>(), [0, 2]);
    let open = pushes.open_shards(user(7), mine.id, Some(0), 9).await.unwrap();
    assert_eq!(open.iter().map(|shard| shard.seq).collect::<Vec<_>>(), [2]);
    assert_eq!(pushes.open_shards(user(8), mine.id, None, 9).await.unwrap(), []);
    let tally = pushes.tally(user(7), mine.id).await.unwrap();
    assert!(tally.counts.add_up());
    let counts = tally.counts;
    assert_eq!((tally.shards, counts.targeted, counts.pending), (3, 9, 6));
    assert_eq!((counts.accepted, counts.invalid, counts.unknown), (1, 1, 1));
    assert_eq!(tally.reasons["Unregistered"], 1);

    assert_eq!(pushes.forget(user(7), mine.id, 2).await, Ok(4));
    assert_eq!(pushes.forget(user(7), mine.id, 2).await, Ok(2));
    assert_eq!(pushes.forget(user(7), mine.id, 2).await, Ok(0));
    assert_eq!(pushes.tally(user(7), other.id).await.unwrap().counts.targeted, 5);
}
