//! Pictures: names, tags, orders and deletion.

use schemas::{ImageId, JobId, Timestamp, image::ImageRecord};
use store::{ImageField, ImageFilter, ImageOrder, Insert, Save};

use crate::{
    place::Place,
    sample::{at, image, user},
};

fn of_user_7() -> ImageFilter {
    ImageFilter { owner: user(7), include_deleted: false, tags_all: vec![], tags_any: vec![] }
}

async fn store_all(place: &Place, images: &[ImageRecord]) {
    for image in images {
        assert_eq!(place.store.images.insert(image).await, Ok(Insert::Stored));
    }
}

/// Places in `images` of what is found, and that the count agrees.
async fn found(
    place: &Place,
    images: &[ImageRecord],
    filter: &ImageFilter,
    order: &[ImageOrder],
) -> Vec<usize> {
    let found = place.store.images.list(filter, order, 0, 100).await.unwrap();
    let count = place.store.images.count(filter).await.unwrap();
    assert_eq!(usize::try_from(count).unwrap(), found.len());
    found.iter().map(|found| images.iter().position(|image| image == found).unwrap()).collect()
}

pub(crate) async fn a_file_name_is_taken_once_for_each_owner(place: &Place) {
    let images = &place.store.images;
    let first = ImageRecord { file_name: "a.png".to_owned(), ..image(&[]) };
    let again = ImageRecord { file_name: "a.png".to_owned(), ..image(&[]) };
    let foreign = ImageRecord { id: ImageId::generate(), owner: user(8), ..again.clone() };

    assert_eq!(images.insert(&first).await, Ok(Insert::Stored));
    assert_eq!(images.insert(&again).await, Ok(Insert::Taken));
    assert_eq!(images.insert(&foreign).await, Ok(Insert::Stored));

    assert_eq!(images.by_file_name(user(7), "a.png").await, Ok(Some(first)));
    assert_eq!(images.by_file_name(user(8), "a.png").await, Ok(Some(foreign)));
    assert_eq!(images.by_file_name(user(9), "a.png").await, Ok(None));
}

/// Its name, the tags of which all must be there, those of which any must, and what is found.
type Case = (&'static str, &'static [&'static str], &'static [&'static str], Vec<usize>);

pub(crate) async fn tags_are_matched_all_or_any(place: &Place) {
    let images = [
        image(&["cat", "dog"]),
        image(&["dog", "$bird", "a.b"]),
        image(&["猫", "it's \"quoted\""]),
        image(&[]),
        ImageRecord { owner: user(8), ..image(&["cat", "dog"]) },
    ];
    store_all(place, &images).await;
    let cases: [Case; 11] = [
        ("no tag", &[], &[], vec![3, 2, 1, 0]),
        ("one", &["dog"], &[], vec![1, 0]),
        ("all of two", &["dog", "cat"], &[], vec![0]),
        ("all of two that never meet", &["cat", "猫"], &[], vec![]),
        ("any of two", &[], &["cat", "$bird"], vec![1, 0]),
        ("any of unknown ones", &[], &["ca", "CAT"], vec![]),
        ("all and any", &["dog"], &["cat", "猫"], vec![0]),
        ("dollar", &["$bird"], &[], vec![1]),
        ("dot", &[], &["a.b"], vec![1]),
        ("quotes", &["it's \"quoted\""], &[], vec![2]),
        ("the same twice", &["cat", "cat"], &[], vec![0]),
    ];
    for (name, tags_all, tags_any, expected) in cases {
        let owned = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
        let filter =
            ImageFilter { tags_all: owned(tags_all), tags_any: owned(tags_any), ..of_user_7() };
        assert_eq!(found(place, &images, &filter, &[]).await, expected, "{name}");
    }
}

pub(crate) async fn pictures_come_in_the_order_that_was_asked_for(place: &Place) {
    let sized = |width, height, created| ImageRecord {
        width,
        height,
        created_at: at(created),
        ..image(&[])
    };
    let images = [sized(9, 5, 30), sized(100, 5, 20), sized(20, 7, 10), sized(9, 7, 40)];
    store_all(place, &images).await;
    let by = |field, descending| ImageOrder { field, descending };
    let cases = [
        ("newest first without an order", vec![], vec![3, 2, 1, 0]),
        ("id", vec![by(ImageField::Id, false)], vec![0, 1, 2, 3]),
        ("time", vec![by(ImageField::CreateTime, false)], vec![2, 1, 0, 3]),
        ("width as a number, then newest", vec![by(ImageField::Width, false)], vec![3, 0, 2, 1]),
        (
            "height down, width up",
            vec![by(ImageField::Height, true), by(ImageField::Width, false)],
            vec![3, 2, 0, 1],
        ),
    ];
    for (name, order, expected) in cases {
        assert_eq!(found(place, &images, &of_user_7(), &order).await, expected, "{name}");
    }
    let page = place.store.images.list(&of_user_7(), &[], 1, 2).await.unwrap();
    assert_eq!(page, [images[2].clone(), images[1].clone()]);
    let beyond = place.store.images.list(&of_user_7(), &[], 4, 2).await;
    assert_eq!(beyond, Ok(vec![]));
}

pub(crate) async fn deleted_pictures_are_left_out_unless_asked_for(place: &Place) {
    let images = [image(&[]), image(&[]).delete(JobId::generate(), Timestamp::now())];
    store_all(place, &images).await;
    let with_deleted = ImageFilter { include_deleted: true, ..of_user_7() };

    assert_eq!(found(place, &images, &of_user_7(), &[]).await, [0]);
    assert_eq!(found(place, &images, &with_deleted, &[]).await, [1, 0]);
}

pub(crate) async fn a_picture_changes_like_any_record(place: &Place) {
    let images = &place.store.images;
    let first = image(&["a"]);
    let hidden = first.clone().delete(JobId::generate(), Timestamp::now());
    let tagged = first.clone().tag(vec!["b".to_owned()]);
    assert_eq!(images.insert(&first).await, Ok(Insert::Stored));

    assert_eq!(images.save(&hidden).await, Ok(Save::Stored));
    assert_eq!(images.save(&tagged).await, Ok(Save::Stale));

    assert_eq!(images.get(first.id).await, Ok(Some(hidden.clone())));
    assert_eq!(images.get(image(&[]).id).await, Ok(None));
    assert_eq!(images.get_owned(user(7), first.id).await, Ok(Some(hidden)));
    assert_eq!(images.get_owned(user(8), first.id).await, Ok(None), "somebody else's");
}
