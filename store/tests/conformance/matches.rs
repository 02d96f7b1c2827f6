//! Reports of matched bills, and their pages.

use schemas::{
    Channel, JobId,
    matching::{
        Difference, DifferenceClass, DifferenceCounts, MatchPage, MatchReport, Movement, Sum,
    },
};
use store::{Insert, Save};

use crate::{place::Place, sample::at};

fn report(channel: Channel, day: &str, run: JobId) -> MatchReport {
    let day = day.parse().unwrap();
    MatchReport {
        id: MatchReport::id_of(channel, "1900000109", day),
        version: 1,
        channel,
        merchant: "1900000109".to_owned(),
        day,
        run,
        made_at: at(0),
        payments: Sum { count: 2, fen: 300 },
        refunds: Sum::default(),
        others: 0,
        matched: 1,
        differences: DifferenceCounts { fee: 1, ..DifferenceCounts::default() },
        pages: 2,
    }
}

fn row(key: &str) -> Difference {
    Difference {
        class: DifferenceClass::Fee,
        movement: Movement::Payment,
        key: key.to_owned(),
        sn: None,
        ours: None,
        theirs: None,
        heard: None,
    }
}

pub(crate) async fn a_report_is_replaced_as_a_whole(place: &Place) {
    let matches = &place.store.matches;
    let (first, second) = (JobId::generate(), JobId::generate());
    let old = report(Channel::WeChatPay, "2026-11-22", first);
    let other = report(Channel::Alipay, "2026-11-22", first);
    for (report, run) in [(&old, first), (&old, second), (&other, JobId::generate())] {
        for number in 0..2 {
            let rows = vec![row(&format!("{run} {number}"))];
            let page = MatchPage::new(&report.id, run, number, rows);
            assert_eq!(matches.insert_page(&page).await, Ok(Insert::Stored));
            assert_eq!(matches.insert_page(&page).await, Ok(Insert::Taken));
        }
    }
    assert_eq!(matches.insert(&old).await, Ok(Insert::Stored));
    assert_eq!(matches.insert(&old).await, Ok(Insert::Taken));
    let new = MatchReport { version: 2, run: second, ..old.clone() };
    assert_eq!(matches.save(&new).await, Ok(Save::Stored));
    assert_eq!(matches.save(&new).await, Ok(Save::Stale));

    assert_eq!(matches.get(&new.id).await, Ok(Some(new.clone())));
    let page = matches.page(&new, 1).await.unwrap().unwrap();
    assert_eq!(page.rows, [row(&format!("{second} 1"))]);
    assert_eq!(matches.page(&new, 2).await, Ok(None));
    assert_eq!(matches.remove_older(&new.id, second, 1).await, Ok(1));
    assert_eq!(matches.remove_older(&new.id, second, 9).await, Ok(1));
    assert_eq!(matches.page(&old, 0).await, Ok(None));
    assert!(matches.page(&new, 0).await.unwrap().is_some(), "of the later run");
}

pub(crate) async fn old_reports_go_with_their_pages(place: &Place) {
    let matches = &place.store.matches;
    let reports = ["2026-11-20", "2026-11-21", "2026-11-22"]
        .map(|day| report(Channel::UnionPay, day, JobId::generate()));
    for report in &reports {
        for run in [JobId::generate(), report.run] {
            let page = MatchPage::new(&report.id, run, 0, vec![row("a")]);
            assert_eq!(matches.insert_page(&page).await, Ok(Insert::Stored));
        }
        assert_eq!(matches.insert(report).await, Ok(Insert::Stored));
    }
    let before = reports[2].day;
    assert_eq!(matches.remove_before(before, 1).await, Ok(1), "the earliest first");
    assert_eq!(matches.get(&reports[0].id).await, Ok(None));
    assert_eq!(matches.page(&reports[0], 0).await, Ok(None));
    assert!(matches.page(&reports[1], 0).await.unwrap().is_some());
    assert_eq!(matches.remove_before(before, 9).await, Ok(1));
    assert_eq!(matches.remove_before(before, 9).await, Ok(0));
    assert_eq!(matches.of_day(before, 9).await, Ok(vec![reports[2].clone()]));
    assert!(matches.page(&reports[2], 0).await.unwrap().is_some());
}

pub(crate) async fn reports_are_found_by_their_day(place: &Place) {
    let matches = &place.store.matches;
    let run = JobId::generate();
    let reports = [
        report(Channel::WeChatPay, "2026-11-22", run),
        report(Channel::Alipay, "2026-11-22", run),
        report(Channel::Alipay, "2026-11-23", run),
    ];
    for report in &reports {
        assert_eq!(matches.insert(report).await, Ok(Insert::Stored));
    }
    let day = reports[0].day;
    let expected = vec![reports[1].clone(), reports[0].clone()];
    assert_eq!(matches.of_day(day, 9).await, Ok(expected.clone()));
    assert_eq!(matches.of_day(day, 1).await, Ok(expected[..1].to_vec()));
    assert_eq!(matches.of_day(day.before(), 9).await, Ok(vec![]));
}
