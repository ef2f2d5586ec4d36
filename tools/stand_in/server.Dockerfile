# A replacement of docker.io/library/python:3.13-slim-trixie: the same Debian and Python at the same paths.
FROM localhost/trixie-python:3.13
RUN ln -s /usr/bin/python3.13 /usr/local/bin/python \
    && ln -s /usr/bin/python3.13 /usr/local/bin/python3 \
    && ln -s /usr/bin/pip3 /usr/local/bin/pip
COPY trusted-by-pip.crt pip.conf /etc/
ENV LANG=C.UTF-8
CMD ["python3"]
