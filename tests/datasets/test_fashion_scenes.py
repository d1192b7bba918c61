import numpy as np

from workbench.datasets import data_card, embed_scenes, fashion_mnist, fashion_scenes


def test_scenes_are_composed_as_the_card_says_to_the_byte():
    card = data_card("fashion-scenes")
    for part, scenes in {"train": fashion_scenes.train(), "test": fashion_scenes.test()}.items():
        assert len(scenes[0]) == card.examples[part]
        assert embed_scenes.sha256(scenes) == card.composed[part]


def test_a_pixel_has_a_class_where_something_lies_and_none_elsewhere():
    images, classes = fashion_scenes.test()
    assert ((images > 0) == (classes > 0)).all()


def test_every_class_of_fashion_mnist_has_a_kind():
    assert len(fashion_scenes.KINDS) == len(fashion_mnist.CLASSES)
    assert set(fashion_scenes.KINDS.tolist()) == set(range(1, len(fashion_scenes.CLASSES)))


def test_where_garments_meet_a_pixel_is_of_one_of_them():
    trousers, bag = 1, 8
    images = np.stack([np.full((28, 28), grey, np.uint8) for grey in (100, 200)])
    scenes, classes = fashion_scenes.compose(images, np.array([trousers, bag]), 50, seed=0)
    assert (classes == fashion_scenes.KINDS[trousers]).tolist() == (scenes == 100).tolist()
    assert (classes == fashion_scenes.KINDS[bag]).tolist() == (scenes == 200).tolist()
    assert any({100, 200} <= set(np.unique(scene)) for scene in scenes)


def test_other_seeds_give_other_scenes():
    images, labels = fashion_mnist.test()
    one, again, other = (fashion_scenes.compose(images, labels, 3, seed) for seed in (5, 5, 6))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
