//! Finding trees by words.

use crate::harness::Pair;

#[tokio::test(flavor = "multi_thread")]
async fn words_find_trees_and_matches_are_marked() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    let outline = "---\ntitle: No sound\ntags: meeting\n---\n\n- ? Is the loudspeaker on? {#on}\n";
    ada.feed(&["trees", "new", "--from", "-"], outline).await.ok();
    ada.run(&["trees", "new", "No picture", "--tag", "meeting"]).await.ok();

    let found = ada.json(&["trees", "search", "meeting", "LOUD"]).await;
    assert_eq!(found["results"].as_array().unwrap().len(), 1);
    let found = ada.json(&["trees", "search", "LOUD"]).await;
    let first = &found["results"][0];
    assert_eq!(first["tree"]["title"], "No sound");
    assert_eq!(first["field"], "nodes[0].title");
    assert!(first["snippet"].as_str().unwrap().contains("\u{2068}loudspeaker\u{2069}"), "{first}");
    assert_eq!(first["tree"].get("nodes"), None);

    let said = ada.run(&["trees", "search", "loudspeaker"]).await.ok();
    assert!(said.contains("  No sound\n  nodes[0].title: Is the loudspeaker on?\n"), "{said}");
    let coloured = ada.run(&["trees", "search", "loudspeaker", "--color", "always"]).await.ok();
    assert!(coloured.contains("\x1b[1m\x1b[33mloudspeaker\x1b[0m on?"), "{coloured:?}");
    let both = ada.json(&["trees", "search", "meeting", "--limit", "1"]).await;
    assert_eq!(both["results"].as_array().unwrap().len(), 1);
    assert_eq!(ada.run(&["trees", "search", "nothing"]).await.ok(), "");
}
