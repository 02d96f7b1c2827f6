//! That the pool and its waiting line are bounded.

use std::{sync::mpsc, time::Duration};

use bytes::Bytes;
use futures::{FutureExt, future::join_all};
use schemas::image::ImageFormat;

use super::{
    super::{PictureError, PictureLimits, Pictures, memory::Memory, pool::Pool},
    fixtures::still,
};

fn one_place(waiting_bytes: u64) -> PictureLimits {
    PictureLimits { decoders: 1, max_bytes: 1024, waiting_bytes, ..PictureLimits::default() }
}

#[tokio::test]
async fn who_finds_the_line_full_is_sent_away_and_the_others_are_served() {
    let pool = Pool::new(&one_place(2048));
    let (release, held) = mpsc::channel::<()>();
    let mut working = Box::pin(pool.run(1024, move || Ok(held.recv().is_ok())));
    assert!(working.as_mut().now_or_never().is_none());
    let mut first = Box::pin(pool.run(1024, || Ok(1)));
    let mut second = Box::pin(pool.run(1024, || Ok(2)));
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());

    assert_eq!(pool.run(1, || Ok(3)).await, Err(PictureError::Busy));

    drop(second);
    let mut third = Box::pin(pool.run(1, || Ok(3)));
    assert!(third.as_mut().now_or_never().is_none(), "who leaves the line makes room");
    release.send(()).unwrap();
    assert_eq!(working.await, Ok(true));
    assert_eq!(first.await, Ok(1));
    assert_eq!(third.await, Ok(3));
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_free_the_place_of_its_work() {
    let pool = Pool::new(&one_place(1024));
    let (release, held) = mpsc::channel::<()>();
    let mut working = Box::pin(pool.run(1, move || Ok(held.recv().is_ok())));
    assert!(working.as_mut().now_or_never().is_none());
    drop(working);

    let mut next = Box::pin(pool.run(1, || Ok(())));
    assert!(next.as_mut().now_or_never().is_none());

    release.send(()).unwrap();
    assert_eq!(tokio::time::timeout(Duration::from_secs(10), next).await, Ok(Ok(())));
}

#[tokio::test]
async fn a_panic_frees_its_place() {
    let pool = Pool::new(&one_place(1024));

    let broken = pool.run(1, || -> Result<(), _> { panic!("a decoder gave up") }).await;

    assert_eq!(broken, Err(PictureError::Damaged));
    assert_eq!(pool.run(1, || Ok(())).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_pictures_at_once_are_all_served() {
    let pictures = Pictures::new(PictureLimits { decoders: 2, ..PictureLimits::default() });
    let file = Bytes::from(still(ImageFormat::Jpeg, 64, 48));

    let served = join_all((0..200).map(|_| pictures.admit(file.clone()))).await;

    assert!(served.iter().all(Result::is_ok));
    let small = pictures.thumbnail(file, ImageFormat::Jpeg, 32).await.unwrap();
    assert_eq!((small.width, small.height), (32, 24));
}

#[tokio::test]
async fn a_file_that_is_too_large_is_not_even_looked_at() {
    let pictures = Pictures::new(one_place(1024));

    let refused = pictures.admit(Bytes::from(vec![0; 1025])).await;

    assert_eq!(refused, Err(PictureError::TooLarge { limit: 1024 }));
}

#[test]
fn decodes_share_one_sum_of_memory() {
    const MIB: u64 = 1 << 20;
    let limits =
        PictureLimits { max_memory: 4 * MIB, total_memory: 10 * MIB, ..PictureLimits::default() };
    let memory = Memory::new(&limits);
    let first = memory.lend(4 * MIB).unwrap();
    let second = memory.lend(4 * MIB).unwrap();
    let (tell, lent) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let third = memory.lend(4 * MIB).unwrap();
            tell.send(third).unwrap();
        });
        assert!(lent.try_recv().is_err(), "8 of 10 are lent");
        drop(first);
        drop(lent.recv_timeout(Duration::from_secs(10)).unwrap());
    });
    drop(second);
    drop(memory.lend(100 * MIB).unwrap());
    let small = PictureLimits { total_memory: 1, ..limits };
    drop(Memory::new(&small).lend(4 * MIB).unwrap());
}
