def test_points():
    assert True, "shadowed"
